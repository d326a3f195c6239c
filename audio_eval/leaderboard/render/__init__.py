"""One file per format: rows and columns -> text."""
