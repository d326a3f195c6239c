"""An item of two runs as the JSON that the page draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audio_eval.clips import Clips, Heard, Hearing
from audio_eval.compare.difference import state
from audio_eval.compare.pair import Pair
from audio_eval.report.sample import legible, sample_record

INSTEAD = {"silence": "It heard silence.", "none": "It was asked without the recording."}


def item_record(pair: Pair, id_: str, clips: Clips, hearings: Sequence[Hearing]) -> dict[str, Any]:
    """``sample_record`` with A's and B's arm, and ``states`` (of ``difference.state``), ``alike`` (the same option),
    ``heard`` (what the player takes).

    What is asked and offered is B's; A's choice and votes are brought into the order of B's options.
    """
    sides = (pair.a, pair.b)
    samples = [side.samples[id_] for side in sides]
    names = [f"{name}: {side.label}" for name, side in zip("AB", sides, strict=True)]
    record = sample_record(list(zip(names, samples, strict=True)))
    a, b = record["arms"]
    asked, again = (sample.question for sample in samples)
    if asked.choices != again.choices:
        _reorder(a, [again.choices.index(choice) for choice in asked.choices if choice in again.choices])
    if asked.prompt != again.prompt:
        record["prompt"] = "\n\n".join(
            f"{name}\n{legible(sample.question.prompt)}" for name, sample in zip(names, samples, strict=True)
        )
    if asked.heard != again.heard:
        record["heard"] = None
        for arm, sample in zip((a, b), samples, strict=True):
            if heard := sample.question.heard:
                arm["notes"].append(INSTEAD.get(heard) or f"It heard the recording of {legible(heard)}.")
    found = [hearing.of(sample) for hearing, sample in zip(hearings, samples, strict=True)]
    return {
        **record,
        "states": [state(side.outcomes[id_]) for side in sides],
        "alike": a["choice"] is not None and a["choice"] == b["choice"],
        "clips": clips.heard(_together(*found)),
    }


def _reorder(arm: dict[str, Any], places: Sequence[int]) -> None:
    """Bring an arm into another order of the options: ``places[i]`` is where its i-th one stands there."""
    for part in filter(None, (arm, arm["votes"], arm["label"])):
        if (choice := part.get("choice")) is not None:
            part["choice"] = places[choice] if choice < len(places) else None
        if counts := part.get("counts"):
            moved = dict(zip(places, counts, strict=False))
            part["counts"] = [moved.get(place, 0) for place in range(len(counts))]


def _together(a: Sequence[Heard], b: Sequence[Heard]) -> list[Heard]:
    """What both heard once; what one of them heard under its letter."""
    own = [clip._replace(label=f"A, {clip.label}") for clip in a if clip not in b]
    return [*(clip for clip in a if clip in b), *own, *(c._replace(label=f"B, {c.label}") for c in b if c not in a)]
