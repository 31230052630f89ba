"""`mltop --demo`: a box that does not exist, on samples: eight GPUs, one lost, one throttled; jobs and logs."""
