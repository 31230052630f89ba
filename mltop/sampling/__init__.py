"""Reading the machine: the only home of psutil and NVML."""
