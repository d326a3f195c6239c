"""The pages that audio-eval view serves, in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audio_eval.owner import lock_dir
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import ResponseRecord
from tests.compare.runs import hostile_pair
from tests.hostile import NAMES
from tests.leaderboard.runs import make_run
from tests.pages.conftest import Visit, axe
from tests.view.served import recorded_run, served

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("runs")
    recorded_run(folder / "direct", "rrww" * 3, folder / "sound.wav")
    recorded_run(folder / "ttrl", "rwrr" * 3, folder / "sound.wav", method="aqa_ttrl")
    recorded_run(folder / "seed1", "rwrr" * 3, folder / "sound.wav", method="aqa_ttrl", seed=1)
    make_run(folder / "broken", "rw")
    (folder / "broken" / "result.json").write_text("{")
    begun(folder / "now")
    with lock_dir(folder / "now"):
        yield folder


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    with served([runs]) as address:
        yield f"{address}/"


def begun(folder: Path) -> Path:
    """A run that has not answered its last items."""
    recorded_run(folder, "rr", folder.parent / "sound.wav", method="grpo")
    (folder / "result.json").unlink()
    log = RunLog(folder)
    log.responses.keep(log.responses.read()[:1])
    log.scores.keep([])
    return folder


def listed(page: Page) -> list[str]:
    return page.locator("#runs tbody th").all_text_contents()


def test_all_runs_are_listed_and_two_are_compared(address: str, visit: Visit) -> None:
    page = visit(address)
    assert listed(page) == ["now", "broken", "direct", "seed1", "ttrl"]
    rows = page.locator("#runs tbody tr")
    assert "under way" in rows.nth(0).inner_text() and "damaged" in rows.nth(1).inner_text()
    page.get_by_role("button", name="Runs: 1 under way, 3 finished, 1 left out").click()
    assert page.evaluate("document.activeElement.id") == "runs-title"
    page.locator("#runs").get_by_role("button", name="accuracy").click()
    assert listed(page)[0] in ("seed1", "ttrl") and listed(page)[-1] in ("now", "broken")
    page.get_by_label("Find a run").fill("ttrl finished")
    assert sorted(listed(page)) == ["seed1", "ttrl"]
    page.get_by_label("Find a run").fill("")
    assert page.locator("#runs .bar a").get_attribute("href") is None
    for name in ("direct", "ttrl"):
        page.get_by_label(f"Compare {name}").check()
    axe(page)
    page.get_by_role("link", name="Compare direct with ttrl").click()
    page.wait_for_url("**/compare/**")
    assert "3 items" in page.locator("body").inner_text()
    page.get_by_role("link", name="all runs").click()
    assert listed(page)[0] == "now"
    page.get_by_role("link", name="What ttrl broke").click()
    page.get_by_role("button", name="Play").wait_for()  # the first of them is open: two clicks from here to its sound
    assert page.locator(".item-head h2").text_content() == "q1"
    narrow = visit(address, dark=True, width=420)
    assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_from_the_table_to_the_sound_of_an_item(address: str, visit: Visit) -> None:
    """The report of the best row in two clicks, and in it an item that it broke."""
    page = visit(address, "#task=synth_aqa")
    page.get_by_role("button", name="aqa_ttrl").click()
    side = page.get_by_role("dialog")
    links = side.get_by_role("link").all_text_contents()
    assert links[:4] == [
        "report, seed 0",
        "compared with direct, seed 0",
        "report, seed 1",
        "compared with direct, seed 1",
    ]
    side.get_by_role("link", name="report, seed 0").click()
    page.wait_for_url("**/runs/**")
    page.goto(page.url.split("#")[0] + "#view=items&item=q1")
    page.get_by_role("button", name="Play").first.click()
    page.wait_for_function("() => Number(document.querySelector('[role=slider]').ariaValueNow) > 0.1", timeout=60_000)
    assert page.locator(".player-mel").first.get_attribute("src").startswith("data:image/png")
    axe(page)


def test_a_page_keeps_up_with_its_run(tmp_path: Path, visit: Visit) -> None:
    folder = begun(tmp_path / "now")
    with served([tmp_path]) as address, lock_dir(folder):
        first, report = visit(f"{address}/"), visit(f"{address}/")
        assert listed(first) == ["now"] and not first.locator("#filters").is_visible()
        assert "Served by audio-eval view" in first.locator("footer").inner_text()
        report.get_by_role("link", name="now").click()
        report.wait_for_url("**/runs/**")
        assert "1 of 2" in report.locator("#progress").inner_text()
        report.get_by_role("link", name="Items").click()
        report.get_by_role("searchbox").first.fill("bell")
        RunLog(folder).responses.append([ResponseRecord(id="q1", response="more")])
        make_run(tmp_path / "new", "rw")
        report.get_by_role("button", name="Show it").wait_for()  # who is typing is not interrupted
        assert "1 of 2" in report.locator("#progress").inner_text()
        report.get_by_role("button", name="Show it").click()
        report.get_by_text("2 of 2").first.wait_for()
        assert report.get_by_role("searchbox").first.input_value() == "bell", "it is in the address"
        first.locator("#runs").get_by_text("new", exact=True).wait_for()  # by itself
        assert listed(first) == ["now", "new"]


def test_hostile_texts_are_texts(tmp_path: Path, visit: Visit) -> None:
    pair = hostile_pair(tmp_path / "runs")
    make_run(tmp_path / "runs" / '"><img src=x onerror=alert(1)>', "rw")
    (tmp_path / "runs" / '"><img src=x onerror=alert(1)>' / "result.json").write_text(f"{{{NAMES[1]}")
    with served([tmp_path / "runs"]) as address:
        page = visit(f"{address}/")
        assert page.locator("#runs tbody tr").count() == 3 and page.locator("img").count() == 0
        page.locator("#runs").get_by_role("link", name=pair.b.folder.name.lstrip("\x1b[31m")).first.click()
        page.wait_for_url("**/runs/**")
        assert page.locator("img").count() == 0
