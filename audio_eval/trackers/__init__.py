"""Trackers: where else the steps of a run are shown. Registered by entry point ``audio_eval.trackers``."""

from __future__ import annotations

from audio_eval.trackers.tracker import TrackedRun, Tracker, find_trackers
from audio_eval.trackers.tracking import Tracking

__all__ = ["TrackedRun", "Tracker", "Tracking", "find_trackers"]
