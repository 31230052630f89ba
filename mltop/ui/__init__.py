"""The dashboard: draws the model, sends requests, decides nothing."""
