"""Other boxes."""
