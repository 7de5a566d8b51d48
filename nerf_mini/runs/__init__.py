"""A run is a folder: its files, checkpoints and evaluation."""
