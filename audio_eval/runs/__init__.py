"""Runs: the specification, the directory on disk, resuming, and the order in which everything happens."""
