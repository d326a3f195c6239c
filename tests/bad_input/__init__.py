"""Files that no program should have written, made anew on every run: nothing of them is in the repository.

``python -m tests.bad_input FOLDER`` writes them into a folder, to try a command on them by hand.
"""
