"""An item of two runs as the page has it: in one order of the options, with what both heard."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.clips import Clips, Hearing
from audio_eval.compare.items import item_record
from audio_eval.compare.pair import Pair
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import LabelRecord
from audio_eval.runs.own import remember_folders
from tests.compare.runs import write_run


def record(pair: Pair, id_: str = "q0") -> dict[str, Any]:
    return item_record(pair, id_, Clips(budget=0), [Hearing(RunLog(side.folder)) for side in (pair.a, pair.b)])


def test_both_answers_are_there(tmp_path: Path) -> None:
    pair = Pair.load(write_run(tmp_path / "a", "wr"), write_run(tmp_path / "b", "ru", method="sft"))
    first, second = record(pair), record(pair, "q1")
    assert (first["fate"], first["states"], first["alike"]) == ("fixed", ["wrong", "right"], False)
    assert [arm["name"] for arm in first["arms"]] == ["A: direct", "B: sft"]
    assert [arm["response"] for arm in first["arms"]] == ["<answer>drum</answer>", "<answer>bell</answer>"]
    assert (second["fate"], second["states"]) == ("broken", ["right", "unreadable"])


def test_another_order_of_the_options_is_brought_into_one(tmp_path: Path) -> None:
    """A was shown bell, drum, and B drum, bell: both said drum, which is B's first option."""
    turned = {0: {"choices": ("drum", "bell"), "prompt": "drum, bell?"}}
    a = write_run(tmp_path / "a", "w")
    label = LabelRecord(
        id="q0", choice=1, label="drum", confidence=0.75, tally={"bell": 2, "drum": 6}, unparsable=0, entropy=0.1,
        agreement=1.0,
    )  # fmt: skip
    RunLog(a).labels.append([label])
    b = write_run(tmp_path / "b", "w", questions=turned)
    log = RunLog(b)
    log.scores.keep([score.model_copy(update={"choice": 0}) for score in log.scores.read()])
    found = record(Pair.load(a, b))
    assert found["options"] == ["drum", "bell"] and found["alike"] and found["gold_at"] == 1
    assert [arm["choice"] for arm in found["arms"]] == [0, 0]
    assert (found["arms"][0]["label"]["choice"], found["arms"][0]["label"]["counts"]) == (0, [6, 2])
    assert "A: direct (1)\nWhat is it?" in found["prompt"] and found["prompt"].endswith("drum, bell?")


def test_what_both_heard_is_one_clip(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    remember_folders([str(tmp_path / "x.wav")])
    heard = {"audio": str(tmp_path / "x.wav"), "audio_sha256": sha256(b"RIFF").hexdigest()}
    a = write_run(tmp_path / "a", "r", questions={0: heard})
    b = write_run(tmp_path / "b", "r", questions={0: {**heard, "heard": "silence"}}, audio="silence")
    spec = RunLog(b).spec()
    RunLog(b).write_spec(spec.model_copy(update={"audio": "silence"}))
    found = record(Pair.load(a, b))
    assert [clip["label"] for clip in found["clips"]] == ["original", "B, heard: silence"]
    assert found["heard"] is None and found["arms"][1]["notes"] == ["It heard silence."]


@pytest.mark.parametrize("changes", [{}, {"questions": {0: {"audio": None, "audio_sha256": None}}}])
def test_a_recording_that_is_not_here_is_said_once(tmp_path: Path, changes: dict[str, Any]) -> None:
    pair = Pair.load(write_run(tmp_path / "a", "r", **changes), write_run(tmp_path / "b", "w", **changes))
    assert len(record(pair)["clips"]) == (0 if changes else 1)
