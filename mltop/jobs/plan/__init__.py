"""From the config to the schedulers and back: plan, apply, undo."""
