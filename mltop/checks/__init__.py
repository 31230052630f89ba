"""Readings to results to a verdict: pure functions."""
