"""What things are: frozen records and pure functions on them; no clock, no I/O."""
