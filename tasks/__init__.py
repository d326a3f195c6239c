"""Benchmarks: one folder each, installed as ``audio_eval.tasks``."""
