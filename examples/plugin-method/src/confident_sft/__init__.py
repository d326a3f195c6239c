"""confident_sft: a method for audio-eval."""
