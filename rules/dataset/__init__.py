"""What a configuration means for a dataset: its files, which of them belong together, its regions of interest."""
