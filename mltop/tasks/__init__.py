"""What the built-in job kinds do: back up, clean up, rotate."""
