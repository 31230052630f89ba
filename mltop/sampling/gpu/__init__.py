"""The GPUs: the probe that asks the driver, its owner, and what the PCI bus has."""
