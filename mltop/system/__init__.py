"""Files, children and text: what every other layer needs of the operating system."""
