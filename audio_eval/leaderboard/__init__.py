"""Finished runs -> rows -> tables."""

from __future__ import annotations

from audio_eval.leaderboard.markdown import all_table, task_table, terminal_table, write
from audio_eval.leaderboard.rows import Row, Run, aggregate, load_runs

__all__ = ["Row", "Run", "aggregate", "all_table", "load_runs", "task_table", "terminal_table", "write"]
