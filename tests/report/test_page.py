"""The data of a run's page, and when it is written."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.progress import Bar, Progress
from audio_eval.report import baseline, write
from audio_eval.report.baseline import baseline_of, finished
from audio_eval.report.curves import POINTS, charts, fates_over_steps
from audio_eval.report.write import SELDOM, SHARE, Reports, unlinked, write_report
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import StepRecord
from tests.hostile import NAMES
from tests.report.runs import make_pair, make_run


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_items_of_a_run_beside_direct(tmp_path: Path) -> None:
    path = write_report(make_pair(tmp_path))
    data = data_of(path)
    assert path == tmp_path / "aqa" / "report.html"
    assert data["arms"] == ["direct", "aqa_ttrl"]
    assert [record["fate"] for record in data["records"][:4]] == ["kept right", "fixed", "broken", "fixed"]
    assert data["progress"] is None
    assert {figure["title"]: figure["texts"] for figure in data["figures"]}["n"] == ["12", "12"]
    told = path.read_text()
    assert "75.0 % of 12 items are right" in told and "6 items were fixed and 3 broken." in told
    assert [bin_["n"] for bin_ in data["reliability"]] == [2, 2, 3, 2, 3]
    assert data["fates"]["steps"] == [0, 20]
    assert sum(counts[1] for counts in data["fates"]["counts"].values()) == 24
    assert data["facts"][-1] == ["compared with", "direct"]
    assert [len(record["clips"]) for record in data["records"]] == [1] * 12
    assert len(data["sounds"]) == 5, "each recording once"


def test_what_was_broken_is_embedded_first(tmp_path: Path) -> None:
    data = data_of(write_report(make_pair(tmp_path), budget=15_000))
    embedded = [sound["embedded"] for sound in data["sounds"]]
    assert embedded[0] and not all(embedded)
    broken = next(record for record in data["records"] if record["fate"] == "broken")
    assert broken["clips"][0]["ref"] == 0


def test_a_page_for_others_has_no_places_of_files(tmp_path: Path) -> None:
    path = write_report(make_pair(tmp_path), budget=15_000)
    before = data_of(path)["sounds"]
    path.write_text(unlinked(path.read_text()))
    after = data_of(path)["sounds"]
    assert any(sound["src"] and not sound["embedded"] for sound in before)
    assert [sound["src"] for sound in after] == [sound["src"] if sound["embedded"] else None for sound in before]


def test_direct_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    data = data_of(write_report(make_run(tmp_path / "direct", ["dog", "cat"])))
    assert data["arms"] == ["direct"] and data["charts"] == [] and data["fates"] is None and data["reliability"] == []
    assert {record["fate"] for record in data["records"]} == {None}


def test_the_baseline_is_of_the_same_conditions(tmp_path: Path) -> None:
    run = make_pair(tmp_path)
    make_run(tmp_path / "a-broken", ["dog"])
    (tmp_path / "a-broken" / "result.json").write_text("{")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "spec.json").write_text("[]")
    assert baseline_of(finished(run), run) == tmp_path / "direct"
    result = tmp_path / "direct" / "result.json"
    result.write_text(result.read_text().replace('"choice@2"', '"choice@1"'))
    assert baseline_of(finished(run), run) is None
    assert data_of(write_report(run))["arms"] == ["aqa_ttrl"]


@pytest.mark.parametrize("linked", ["direct", "direct/spec.json", "direct/notes.json"])
def test_no_link_beside_it_is_followed(linked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of runs may be a stranger's, too."""
    run, link = make_pair(tmp_path / "runs"), tmp_path / "runs" / linked
    if link.exists():
        link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    read: list[Path] = []
    monkeypatch.setattr(baseline, "read_json", lambda path: read.append(path) or {})
    assert data_of(write_report(run))["arms"] == ["aqa_ttrl"] and read == [run / "spec.json"]


def test_against_another_run(tmp_path: Path) -> None:
    run = make_pair(tmp_path)
    other = make_run(tmp_path / "other", ["cat"] * 6, method="aqa_ttrl")
    data = data_of(write_report(run, against=other))
    assert data["arms"] == ["other", "aqa_ttrl"], "two runs of one method are told apart"
    assert [len(record["arms"]) for record in data["records"]] == [2] * 6 + [1] * 6


def test_a_run_under_way(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["dog", "what?"], method="aqa_ttrl", steps=4, votes=True, finished=False)
    data = data_of(write_report(run))
    stages = {stage["name"]: (stage["done"], stage["of"]) for stage in data["progress"]["stages"]}
    assert stages == {"steps": (4, 4), "answers": (2, 2)}
    assert [record["arms"][0]["right"] for record in data["records"]] == [None, None]
    assert not any(sound["embedded"] for sound in data["sounds"]), "its page is written again and again"


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no spec\.json"):
        write_report(tmp_path)


def test_hostile_texts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [f"{name} dog" for name in NAMES], names=NAMES, votes=True)
    path = write_report(run, budget=0)
    text, data = path.read_text(encoding="utf-8"), data_of(path)
    assert all(record["arms"][0]["response"].endswith(" dog") for record in data["records"])
    assert "<img src=x" not in text and "</script><script>" not in text
    assert not any(char in text for char in "\x1b\x07\u202e\u2066\u2028\x85")


def test_long_curves_are_thinned(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.steps.keep(StepRecord.model_validate({"step": i + 1, "reward": float(i % 2)}) for i in range(3 * POINTS + 1))
    points = charts(log)[0]["series"][0]["points"]
    assert len(points) <= POINTS and points[-1][0] == 3 * POINTS + 1
    assert all(0.2 < value < 0.8 for _, value in points[:-1])


def test_fates_need_the_model_before_the_first_step(tmp_path: Path) -> None:
    assert fates_over_steps(RunLog(tmp_path)) is None
    run = make_run(tmp_path / "run", ["dog"] * 2, method="aqa_ttrl", steps=2)
    found = fates_over_steps(RunLog(run))
    assert found == {
        "steps": [0, 2],
        "counts": {"fixed": [0, 2], "broken": [0, 1], "kept right": [2, 1], "kept wrong": [2, 0]},
    }


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Told(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_the_page_of_a_run_under_way_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, written = Clock(), []

    def slow(run: Path, budget: int) -> None:
        written.append(clock.now)
        clock.now += 1.0

    monkeypatch.setattr(write, "write_report", slow)
    reports = Reports(Told(), clock)
    with reports.of(tmp_path), reports.bar("votes", 1000) as bar:
        for _ in range(200):
            clock.now += 1.0
            bar.advance(1)
    assert written[0] == SELDOM
    assert all(later - earlier >= 1.0 / SHARE for earlier, later in pairwise(written[:-1]))
    assert written[-1] == clock.now - 1.0, "and at its end"
    with reports.bar("outside of a run", 1) as bar:
        clock.now += 1000.0
        bar.advance(1)
    assert written[-1] < clock.now - 1000.0


def test_a_page_that_fails_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: Path, budget: int) -> None:
        raise OSError("no space\nis left")

    monkeypatch.setattr(write, "write_report", broken)
    told = Told()
    with Reports(told).of(tmp_path):
        pass
    assert told.warnings == [f"{tmp_path / 'report.html'} cannot be written: no space is left"]


def test_an_interrupted_run_gets_no_last_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "write_report", lambda *given: pytest.fail("written"))
    with pytest.raises(KeyboardInterrupt), Reports(Told()).of(tmp_path):
        raise KeyboardInterrupt


def test_a_finished_run_keeps_its_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", ["dog"])
    with Reports(Told()).of(run):
        pass
    assert data_of(run / "report.html")["arms"] == ["direct"], "one from before there were pages gets one"
    (run / "report.html").write_text("as it was")
    with Reports(Told()).of(run):
        pass
    assert (run / "report.html").read_text() == "as it was"


def test_bars_are_passed_on() -> None:
    seen: list[tuple[int, float, dict[str, float]]] = []

    class Seen(Bar):
        def advance(self, items: int, audio_seconds: float = 0.0, **metrics: float) -> None:
            seen.append((items, audio_seconds, metrics))

    class Shown(Progress):
        def bar(self, label: str, total: int, done: int = 0) -> Any:
            return nullcontext(Seen())

    with Reports(Shown()).bar("votes", 3) as bar:
        bar.advance(2, 1.5, reward=0.5)
    assert seen == [(2, 1.5, {"reward": 0.5})]
