"""Run directories of one task, with questions and responses, made by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audio_eval.compare.pair import Pair
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.records import QuestionRecord, ResponseRecord
from audio_eval.scoring.scores import Score
from tests.hostile import NAMES
from tests.leaderboard.runs import STATES, make_run

CHOICES = ("bell", "drum")
SAID = {"r": "<answer>bell</answer>", "w": "<answer>drum</answer>", "u": "The bell.", "n": "<answer>gong</answer>"}
# No record can be written with a lone surrogate, but a file of someone else's may hold one, as an escape.
LONE, STAND_IN = "\ud800", "stands-for-a-lone-surrogate"
KINDS = {"task": {"music": {"accuracy": 50.0, "n": 1}}}


def write_run(
    folder: Path, states: str, ids: Sequence[str] = (), kinds: Sequence[str] = ("music", "sound"), **changes: Any
) -> Path:
    """A run with one item a letter, as in ``make_run``. The first option is right; items have the ``kinds`` in turn.

    ``questions`` changes fields of the questions by place, ``golds`` the answers, ``said`` the responses.
    """
    ids = ids or [f"q{number}" for number in range(len(states))]
    questions, golds, said = (changes.pop(key, {}) for key in ("questions", "golds", "said"))
    make_run(folder, states, **{"groups": KINDS, **changes})
    log = RunLog(folder)
    row = log.result().audio_eval
    log.write_spec(RunSpec(model=row.model, method=row.method, method_args={}, task=row.task, seed=row.seed))
    groups = [{"task": kinds[place % len(kinds)]} for place in range(len(states))]
    asked: dict[str, Any] = {"audio": "a.wav", "question": "What is it?", "choices": CHOICES, "prompt": "What is it?"}
    log.questions.keep(
        QuestionRecord(**{**asked, "id": id_, "audio_sha256": f"sha {id_}", "groups": groups[place],
                          **questions.get(place, {})})
        for place, id_ in enumerate(ids)
    )  # fmt: skip
    log.responses.keep(
        ResponseRecord(id=id_, response=said.get(place, SAID[state]))
        for place, (id_, state) in enumerate(zip(ids, states, strict=True))
    )
    log.scores.keep(
        Score(
            id=id_, answer=golds.get(place, CHOICES[0]), outcome=STATES[state][0], answered=state in "rw",
            why="option text" if state in "rw" else f"unparsable: {STATES[state][1]}", unread=STATES[state][1],
            choice={"r": 0, "w": 1}.get(state), groups=groups[place],
        )
        for place, (id_, state) in enumerate(zip(ids, states, strict=True))
    )  # fmt: skip
    return folder


def hostile_pair(folder: Path) -> Pair:
    """Three items for each of ``NAMES``, which is their id, question, option, answer, response and group."""
    names = [name.replace(LONE, STAND_IN) for name in NAMES for _ in range(3)]
    asked = [{"question": name, "prompt": name, "choices": (name, "other")} for name in names]
    changes: dict[str, Any] = {
        "said": dict(enumerate(names)), "golds": dict(enumerate(names)), "questions": dict(enumerate(asked)),
        "ids": [f"{place} {name}" for place, name in enumerate(names)],
        "kinds": names, "model": NAMES[0], "tags": NAMES[:-1],
    }  # fmt: skip
    runs = (
        write_run(folder / "<b>|a", "rwu" * len(NAMES), method=NAMES[1], prompt=NAMES[3], **changes),
        write_run(folder / "\x1b[31mb", "r" * len(names), method=NAMES[10], prompt=NAMES[16], **changes),
    )
    for sums in (file for run in runs for file in run.glob(".*.crc")):
        sums.unlink()
    for file in (file for run in runs for file in run.glob("*.json*")):
        text = file.read_text().replace(STAND_IN, "\\ud800")
        file.write_text(re.sub(r',\s*"checksum": \d+', "", text))
    return Pair.load(*runs)
