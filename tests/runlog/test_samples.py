"""A run's items one at a time: what is held of thousands is their text."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from audio_eval.clips import Clips
from audio_eval.report.page import report_page
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.records import QuestionRecord, ResponseRecord

ITEMS = 1500


def _run(folder: Path) -> RunLog:
    log = RunLog(folder)
    log.write_spec(RunSpec(model="m", method="direct", task="t", method_args={}))
    ids = [f"item {i}" for i in range(ITEMS)]
    kinds = {f"kind {k}": f"name {k}" for k in range(20)}
    log.questions.keep(
        QuestionRecord(
            id=id_, audio=None, audio_sha256=None, question="?", choices=(id_, "b"), prompt="?", groups=kinds
        )
        for id_ in ids
    )
    log.responses.keep(ResponseRecord(id=id_, response=id_, groups=((("a", 1),) * 16,)) for id_ in ids)
    return log


def test_a_page_of_thousands_of_items_holds_their_text_alone(tmp_path: Path) -> None:
    log = _run(tmp_path / "run")
    report_page(log.folder, Clips())  # what is imported on the way
    tracemalloc.start()
    try:
        page = report_page(log.folder, Clips())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 13 * len(page), "the values of all items at once take 19 times what their text takes"


def test_samples_are_found_by_id_and_in_order(tmp_path: Path) -> None:
    samples = _run(tmp_path / "run").samples()
    assert [sample.question.id for sample in samples] == [f"item {i}" for i in range(ITEMS)]
    assert len(samples) == ITEMS and samples.get("another") is None
    assert (found := samples.get("item 7")) and found.response and found.completions == ((("a", 1),) * 16,)
    assert [sample.question.id for sample in samples][:2] == ["item 0", "item 1"], "they can be gone through again"
