"""A page that uses every part of the toolkit."""
