"""The built-in methods: one file each, installed as ``audio_eval.methods``."""
