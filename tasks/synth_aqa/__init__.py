"""synth_aqa, the embedded benchmark: procedural sounds, music and speech-like audio with multiple-choice questions."""
