"""MMSU (arXiv 2506.04779): 47 tasks of perceiving and reasoning about spoken language."""
