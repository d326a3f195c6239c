"""Recordings in pages."""
