"""One's own crontab, as bytes: mltop's block in it, and one line at a time of the rest."""
