"""mltop: one terminal tool to see and to keep a GPU box."""

__version__ = "0.1.0"
