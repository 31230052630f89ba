"""`mltop run`: lock, child, deadline, output, end."""
