"""The comparison with lmms-eval: both harnesses are asked the same, and what differs is traced to its place."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.task import load_task

audio_eval_side, clips_task, random_checkpoint, vs_lmms_eval = map(
    importlib.import_module, ("audio_eval_side", "clips_task", "random_checkpoint", "vs_lmms_eval")
)
ITEMS, TOKENS = 4, 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vs_lmms_eval")
    random_checkpoint.save_qwen2_audio(random_checkpoint.build_qwen2_audio("small"), folder / "checkpoint")
    clips_task.write(folder / "task", ITEMS, 2.0, TOKENS)
    clips_task.write(folder / "warm", 1, 2.0, TOKENS, first=ITEMS)
    return folder


def items(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "task/data/clips_qa/items.jsonl").read_text().splitlines()]


def test_both_get_the_same_prompts_recordings_and_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder / "task" / "lmms_eval"))
    monkeypatch.delitem(sys.modules, "utils", raising=False)
    utils = importlib.import_module("utils")
    task = load_task(
        "clips_qa", data_dir=str(folder / "task/data"), include_path=str(folder / "task/audio_eval")
    )  # fmt: skip
    docs = items(folder)
    assert len(docs) == len(task.questions) == ITEMS
    for doc, question in zip(docs, task.questions, strict=True):
        assert utils.doc_to_text(doc) == question.prompt and task.answers[question.id] == doc["answer"]
        [heard] = utils.doc_to_audio(doc)
        assert question.audio is not None
        np.testing.assert_array_equal(heard["array"], question.audio.load(heard["sampling_rate"]))
    assert len({question.audio.digest() for question in task.questions if question.audio}) == ITEMS


def test_our_side_answers_as_transformers_does_and_a_difference_is_traced(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    audio_eval_side.main(str(folder / "checkpoint"), str(folder / "task"), str(folder / "warm"), str(TOKENS), str(out))
    found = json.loads(out.read_text())
    ours, docs = found["responses"], items(folder)
    assert found["answer_s"] > 0 and found["evaluate_s"] > found["answer_s"] and found["warm_up_s"] > 0
    reference = vs_lmms_eval.Reference(folder / "checkpoint", folder / "task", TOKENS)
    theirs = {doc["id"]: reference.answer(doc, 0)[0] for doc in docs}
    assert len(set(ours.values())) > 1 and all(ours.values()), "the answers depend on the item"
    assert set(vs_lmms_eval.differing(reference, docs, ours, theirs)) <= {vs_lmms_eval.SPACE}
    doc, said = docs[0], theirs["item0"]
    assert reference.explain(doc, "other", said).startswith("AUDIO-EVAL")
    assert reference.explain(doc, said.strip(), "other").startswith("lmms-eval's batch")
    assert reference.explain(doc, said.strip(), "").startswith("lmms-eval's empty answer")
    assert reference.explain(doc, "one", "other").startswith("unexplained")


def test_lmms_eval_gives_the_same_answers(folder: Path, tmp_path: Path) -> None:
    named = os.environ.get("LMMS_EVAL_ENVIRONMENT")
    if not named:
        pytest.skip("LMMS_EVAL_ENVIRONMENT names no environment with lmms-eval; bench/vs_lmms_eval.py makes one")
    command = [
        Path(named) / "bin" / "python", vs_lmms_eval.BENCH / "lmms_eval_side.py", folder / "checkpoint",
        folder / "task" / "lmms_eval", folder / "warm" / "lmms_eval", 2,
    ]  # fmt: skip
    theirs = vs_lmms_eval.measured(command, 1, tmp_path / "out.json")["responses"]
    reference = vs_lmms_eval.Reference(folder / "checkpoint", folder / "task", TOKENS)
    alone = {doc["id"]: reference.answer(doc, 0)[0] for doc in items(folder)}
    assert theirs == alone
