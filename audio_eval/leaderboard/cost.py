"""The columns of what a row cost, per run."""

from __future__ import annotations

import re
from statistics import fmean

from audio_eval.leaderboard.cells import NONE, duration
from audio_eval.leaderboard.column import Column, data_column
from audio_eval.leaderboard.row import Row
from audio_eval.runlog import ResultRow

_THREADS = re.compile(r"cpu.*?(\d{1,6}) threads?")


def device(row: Row) -> str | None:
    """Where its runs were made, in words; None where that was not recorded, or where they differ."""
    found = {run.summary.device for run in row.runs}
    return found.pop() if len(found) == 1 else None


def device_hours(result: ResultRow) -> float | None:
    """Wall time in hours, on a CPU times the threads; None where the device is unknown or not this machine's."""
    if result.wall_s is None or result.device is None:
        return None
    threads = _THREADS.match(result.device)
    if threads is None and not result.device.startswith("cuda"):
        return None
    return result.wall_s / 3600 * (int(threads.group(1)) if threads else 1)


def audio_rate(result: ResultRow) -> float | None:
    """Seconds of audio that the model was given, per second of wall time."""
    return result.audio_seconds / result.wall_s if result.audio_seconds and result.wall_s else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def _hours(row: Row) -> float | None:
    return _mean([device_hours(run.summary) for run in row.runs])


def _rate(row: Row) -> float | None:
    return _mean([audio_rate(run.summary) for run in row.runs])


def _trained(row: Row) -> int | None:
    return row.runs[0].summary.trained_parameters


def _hours_text(row: Row) -> str:
    hours, where = _hours(row), device(row)
    if hours is None or where is None:
        return NONE
    return f"{hours:.3g} {'core' if where.startswith('cpu') else 'GPU'} h"


COST = [
    Column(
        "samples", "samples", "completions sampled or scored per run, adaptation included. Compare a transductive "
        "method with `majority_vote` at as many samples.",
        lambda row: row.samples, lambda row: NONE if row.samples is None else f"{row.samples:,.0f}", terminal=True,
    ),
    Column(
        "wall_s", "time", "wall time per run, with that of votes which another run had drawn.",
        lambda row: row.wall_s, lambda row: NONE if row.wall_s is None else duration(row.wall_s),
    ),
    Column(
        "device_hours", "device time",
        "per run: GPU hours (wall time on the one GPU), or hours of wall time times the threads of the CPU.",
        _hours, _hours_text,
    ),
    data_column("device", "where the runs were made; empty where that is not recorded", device),
    Column(
        "audio_rate", "audio s/s", "seconds of audio that the model was given, per second of wall time.",
        _rate, lambda row: NONE if (rate := _rate(row)) is None else f"{rate:,.1f}",
    ),
    Column(
        "trained_parameters", "trained parameters", "how many weights were trained.",
        _trained, lambda row: f"{trained:,}" if (trained := _trained(row)) else NONE,
    ),
]  # fmt: skip
