"""What trackers are told of a run: the metrics of its steps with the points of its curve, and its final figures."""

from __future__ import annotations

from collections.abc import Iterator

from audio_eval.runlog import Result, RunLog
from audio_eval.runlog.records import CurvePoint


def steps(log: RunLog) -> Iterator[tuple[int, dict[str, float]]]:
    """The steps that the log holds, each with its metrics."""
    curve = {point.step: curve_metrics(point) for point in log.curve.read()}
    if 0 in curve:
        yield 0, curve[0]
    for record in log.steps.read():
        yield record.step, {**record.model_dump(exclude={"step"}), **curve.get(record.step, {})}


def curve_metrics(point: CurvePoint) -> dict[str, float]:
    """A point of the curve by names of its own, so that it is not taken for a metric that the method saw."""
    known = {"curve/accuracy": point.accuracy, "curve/unparsable": point.unparsable}
    return {name: value for name, value in known.items() if value is not None}


def figures(result: Result) -> dict[str, float]:
    """The final figures; percents are 0 to 100. What is not known is left out."""
    row = result.audio_eval
    found = {"accuracy": row.accuracy, "unparsable": row.unparsable, "n": row.n, "samples": row.samples,
             "wall_s": row.wall_s}  # fmt: skip
    for label, parts in row.groups.items():
        found |= {f"{label}/{name}": part.accuracy for name, part in parts.items()}
    return {name: float(value) for name, value in found.items() if value is not None}
