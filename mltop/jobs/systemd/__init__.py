"""systemd's managers: mltop's units, and everybody's timers."""
