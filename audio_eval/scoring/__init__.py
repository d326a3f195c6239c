"""Scoring: what a response is worth. Every number that is reported carries the name of its rule or scorer."""

from __future__ import annotations

from audio_eval.scoring.choice import parse_choice
from audio_eval.scoring.extraction import answer_text, has_format
from audio_eval.scoring.normal import normalise
from audio_eval.scoring.rules import RULES, Rule, score
from audio_eval.scoring.verdict import Verdict

__all__ = ["RULES", "Rule", "Verdict", "answer_text", "has_format", "normalise", "parse_choice", "score"]
