"""lm-eval on our policies: its evaluator, command line, filters and caches, with audio. See docs/lm-eval.md."""
