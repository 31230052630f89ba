"""Own log rotation: by size or age, by rename, compressed a turn later, so that no line is lost."""
