"""The dashboard's screens, one a file; each is imported when it is first shown."""
