"""A result to text."""
