"""Bytes that grow by what they reach in the code, given to whatever reads files and texts of strangers.

``python -m tests.fuzz --seconds 120`` fuzzes every target of ``targets``; see docs/reliability.md.
"""
