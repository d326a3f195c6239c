"""Runs for others: archives of a run, the check of an archive, model cards, figures that a server reported."""
