"""The host: processors, memory, mounts, network, processes."""
