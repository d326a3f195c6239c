"""Daily-Omni (arXiv 2505.17862): questions on videos of daily life, of which only the sound track is used."""
