"""Reports: the page of one run, with its curves, its votes, and each of its items."""
