"""tiny-omni, the embedded model: the real Qwen2.5-Omni thinker class at 1/2000 of its size, trained from nothing."""
