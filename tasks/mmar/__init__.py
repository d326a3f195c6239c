"""MMAR (arXiv 2505.13032): 1000 deep-reasoning questions on sound, music, speech and mixtures of them."""
