"""The terminal under Textual: its driver, its output, what is painted on it."""
