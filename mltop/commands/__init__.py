"""One module a command: arguments in, one call into the core, text and an exit code out."""
