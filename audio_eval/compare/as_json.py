"""A difference as one JSON object."""

from __future__ import annotations

from typing import Any

from audio_eval.compare.difference import Difference, state
from audio_eval.compare.facts import facts
from audio_eval.compare.pair import Pair, Side
from audio_eval.compare.verdict import verdict
from audio_eval.scoring.statistics import Comparison


def as_json(pair: Pair, found: Difference) -> dict[str, Any]:
    """Percents are 0 to 100, differences points, B - A. ``items`` has every item of both runs."""
    runs = zip(("a", "b"), (pair.a, pair.b), found.sides, strict=True)
    return {
        "task": pair.a.summary.task,
        "n": len(pair.ids),
        "verdict": verdict(pair, found),
        "warnings": list(pair.warnings),
        **{
            name: {
                "run": str(side.folder), "label": side.label, "accuracy": figures.accuracy,
                "interval": list(figures.interval), "right": figures.right, "readable": figures.readable,
            }
            for name, side, figures in runs
        },
        "differs": {fact.name: list(fact.texts) for fact in facts(pair) if fact.differs},
        "difference": _compared(found.whole),
        "from_reading": _compared(found.reading),
        "from_answers": _compared(found.answers),
        "became": found.became,
        "same_option": found.alike,
        "groups": [
            {"kind": group.kind, "name": group.name, "right": list(group.right), **_compared(group.compared),
             "p_holm": group.p_holm}
            for group in found.groups
        ],
        "items": [{"id": id_, "a": _item(pair.a, id_), "b": _item(pair.b, id_)} for id_ in pair.ids],
    }  # fmt: skip


def _compared(found: Comparison) -> dict[str, Any]:
    return {**found._asdict(), "equivalent": found.equivalent}


def _item(side: Side, id_: str) -> dict[str, Any]:
    sample = side.samples[id_]
    return {"state": state(side.outcomes[id_]), "response": sample.response.response if sample.response else None}
