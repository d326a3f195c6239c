"""The page of a run in a browser: what a reader can do with it, and how fast."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audio_eval.report.write import write_report
from tests.hostile import NAMES
from tests.pages.conftest import Visit, axe
from tests.report.runs import make_pair, make_run

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make_pair(tmp_path_factory.mktemp("runs"), 16))


def ids(page: Page) -> list[str]:
    return page.locator("#content tbody th").all_text_contents()


def test_a_reader_listens_to_an_item_that_was_broken(path: Path, visit: Visit) -> None:
    page = visit(path)
    assert "4 broken" in (page.locator(".verdict").text_content() or "")
    page.get_by_role("link", name=re.compile("4 items: direct right, aqa_ttrl wrong")).click()
    assert ids(page) == ["q2", "q6", "q10", "q14"] and "4 of 16 items" in page.locator("#filters").inner_text()
    page.get_by_role("button", name="q6").click()
    side = page.get_by_role("dialog")
    assert side.get_by_role("heading", name="q6").is_visible()
    assert side.locator("mark").all_text_contents() == ["dog", "bird"]
    assert side.locator(".arm h3").all_text_contents() == ["direct right", "aqa_ttrl wrong"]
    side.get_by_role("button", name="Play").click()
    side.locator("[role=slider]:not([aria-valuenow='0.00'])").wait_for()
    page.get_by_role("button", name="Next").click()
    assert side.get_by_role("heading", name="q10").is_visible() and "3 of 4" in side.inner_text()
    again = visit(path, "#" + page.url.split("#")[1])
    assert again.get_by_role("dialog").get_by_role("heading", name="q10").is_visible(), "a link to an item"
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_filter_and_sort(path: Path, visit: Visit) -> None:
    page = visit(path, "#view=items")
    page.get_by_label("Show").select_option("fixed")
    assert len(ids(page)) == 8
    page.get_by_label("direct is").select_option("unreadable")
    assert ids(page) == ["q3", "q7", "q11", "q15"]
    page.get_by_label("Groups by").select_option("half")
    page.get_by_role("combobox", name="Group", exact=True).select_option("even")
    page.get_by_role("button", name="Show all items").click()
    assert len(ids(page)) == 16
    page.get_by_role("button", name="vote").click()
    assert ids(page)[0] == "q15", "the surest first"
    page.get_by_label("Find").fill("NUMBER 7")
    assert ids(page) == ["q7"]
    page.get_by_label("Find").fill("")
    page.get_by_label("Show").select_option("label")
    assert ids(page) == ["q15", "q13", "q11", "q9", "q7", "q5", "q3", "q1"]


def test_the_votes_of_an_item(path: Path, visit: Visit) -> None:
    side = visit(path, "#view=items&item=q3").get_by_role("dialog")
    assert side.locator("tr.gold").inner_text().split() == ["B", "dog", "✓", "correct", "aqa_ttrl", "5"]
    assert side.get_by_text("1 of 9 named no option").is_visible()
    assert side.get_by_text("unreadable: not an option").is_visible()


def test_curves_are_read_out(path: Path, visit: Visit) -> None:
    page = visit(path, "#view=training")
    titles = page.locator("section h3").all_text_contents()
    assert [title.strip() for title in titles[:3]] == ["Reward", "Agreement", "Accuracy where scored oracle"]
    page.locator("section svg[role=img]").first.hover()
    assert page.locator(".readout").nth(1).text_content() != "\u00a0"
    assert page.locator("polygon.area").count() == 4


def test_groups_positions_and_where_it_is_from(path: Path, visit: Visit) -> None:
    page = visit(path)
    page.locator("#content").get_by_label("Groups by").select_option("half")
    assert page.get_by_role("link", name="8 items: even, fixed").count() == 0
    assert page.get_by_role("link", name="4 items: even, broken").is_visible()
    assert page.get_by_role("heading", name="Positions of the options").is_visible()
    page.get_by_role("link", name="Votes").click()
    assert len(page.locator("tbody tr").all()) == 5
    page.get_by_role("link", name="Provenance").click()
    assert "--method aqa_ttrl" in (page.locator(".command").text_content() or "")


@pytest.mark.parametrize(("dark", "views"), [(False, ("Overview", "Training", "Votes")), (True, ("Items",))])
def test_axe_finds_nothing(path: Path, visit: Visit, dark: bool, views: tuple[str, ...]) -> None:
    page = visit(path, dark=dark)
    for view in views:
        page.locator("#views").get_by_role("link", name=view).click()
        axe(page)
    page.locator("#views").get_by_role("link", name="Items").click()
    page.get_by_role("button", name="q3").click()
    axe(page)


def test_by_keyboard_and_on_a_small_screen(path: Path, visit: Visit) -> None:
    page = visit(path, "#view=items", width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="q1", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "q1"


def test_a_run_under_way(tmp_path: Path, visit: Visit) -> None:
    run = make_run(tmp_path / "run", ["dog", "cat"], method="aqa_ttrl", steps=3, votes=True, finished=False)
    page = visit(write_report(run))
    assert page.get_by_role("progressbar", name="steps").is_visible()
    assert page.get_by_text("This run is under way").is_visible()
    axe(page)
    page.get_by_role("link", name="Items").click()
    assert len(ids(page)) == 2


def test_hostile_texts_are_texts(tmp_path: Path, visit: Visit) -> None:
    run = make_run(tmp_path / "run", [f"{name} dog" for name in NAMES], names=NAMES, votes=True)
    page = visit(write_report(run), "#view=items")
    page.locator("#content tbody th button").first.click()
    for _ in NAMES[1:]:
        page.get_by_role("button", name="Next").click()
        assert page.get_by_role("dialog").locator("mark").text_content() == "dog"
    assert page.locator("img:not([src^='data:image/png;'])").count() == 0 and page.locator("script").count() == 3


def test_a_thousand_items_are_fast(tmp_path: Path, visit: Visit) -> None:
    """Opened, sorted and filtered within a second each, at the best of three tries: the machine has other work too."""
    began = time.perf_counter()
    path = write_report(make_pair(tmp_path, 1000))
    seconds, size = time.perf_counter() - began, path.stat().st_size
    page = visit(path)
    tries = [timed(page) for _ in range(3)]
    best = {name: min(found[name] for found in tries) for name in tries[0]}
    print(f"\n{size / 1e6:.1f} MB in {seconds:.1f} s;", *(f"{name} {took:.2f} s;" for name, took in best.items()))
    assert max(best.values()) < 1 and size < 4e6
    assert page.get_by_role("dialog").get_by_role("heading", name="q910").is_visible()


def timed(page: Page) -> dict[str, float]:
    """Seconds from the start to the loaded page, and from an action to the frame after it, by the page's own clock."""
    page.evaluate("() => history.replaceState(null, '', '#view=items')")
    page.reload()
    found = {"opened": page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")}
    for name, act in (
        ("sorted", "document.querySelector(\"[data-focus='sort sure']\").click()"),
        ("filtered", "const show = document.querySelector('#filters select'); show.value = 'broken'; "
                     "show.dispatchEvent(new Event('change'))"),
        ("found", "const find = document.querySelector('#filters input'); find.value = 'number 910'; "
                  "find.dispatchEvent(new Event('input'))"),
        ("item", "document.querySelector('#content tbody th button').click()"),
    ):  # fmt: skip
        frame = "requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)))"
        seconds = f"() => new Promise((done) => {{ const start = performance.now(); {act}; {frame}; }})"
        found[name] = page.evaluate(seconds)
    return found
