"""Finished runs -> rows -> columns -> tables in several formats."""

from __future__ import annotations

from audio_eval.leaderboard.committed import Committed
from audio_eval.leaderboard.files import write
from audio_eval.leaderboard.render.markdown import all_table, task_table
from audio_eval.leaderboard.render.terminal import terminal_table
from audio_eval.leaderboard.row import Row
from audio_eval.leaderboard.rows import aggregate
from audio_eval.leaderboard.runs import Run, load_runs

__all__ = ["Committed", "Row", "Run", "aggregate", "all_table", "load_runs", "task_table", "terminal_table", "write"]
