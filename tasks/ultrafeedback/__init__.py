"""UltraFeedback (arXiv 2310.01377): instructions from six sources, used as prompts to adapt on."""
