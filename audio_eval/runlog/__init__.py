"""A run directory as typed records: what a run writes and everything else reads, through the same classes."""

from __future__ import annotations

from audio_eval.runlog.log import RunLog
from audio_eval.runlog.result import Result, ResultRow
from audio_eval.runlog.samples import Sample, Samples
from audio_eval.runlog.spec import ResponsesSpec, RunSpec

__all__ = ["ResponsesSpec", "Result", "ResultRow", "RunLog", "RunSpec", "Sample", "Samples"]
