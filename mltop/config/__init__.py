"""The config file, typed, with located errors; where files live."""
