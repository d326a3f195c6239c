"""What every page is made with: a file that runs only its own scripts, shows any text as text, and keeps its state."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.pages import Page, island
from tests.pages.conftest import Visit, axe

PAGE = Page("tests.pages.sample", "sample.html", scripts=("sample.js",))
HOSTILE = (
    "</script><script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "<!--<script>", "[x](javascript:alert(1))",
    "a|b`c`\nd", "=HYPERLINK(\"http://x\")", "\x1b[31mred", "\u202egnp.exe", "a\u2028b\u2029c", "\ud800 alone", "&lt;",
)  # fmt: skip


def rows(*names: str) -> dict[str, Any]:
    return {"rows": [{"name": name, "value": number} for number, name in enumerate(names, start=2)], "note": "noted"}


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    return written(tmp_path, rows(*HOSTILE), HOSTILE[0])


def written(folder: Path, data: object, author: str = "x") -> Path:
    (folder / "page.html").write_bytes(PAGE.render(f"{author} \ud800", data, author=author).encode())
    return folder / "page.html"


class _Island(HTMLParser):
    """The text of each script element, as a browser cuts them."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


TEXT = st.text(st.characters(codec=None) | st.sampled_from("<>/!-&\u2028\ud800"), max_size=12)


@settings(max_examples=60)
@given(st.lists(TEXT | st.dictionaries(TEXT, TEXT, max_size=2), max_size=4))
def test_any_data_survives_in_the_island(data: object) -> None:
    parser = _Island()
    parser.feed(f"<script>{island(data)}</script>")
    assert parser.scripts == [str(island(data))] and json.loads(parser.scripts[0]) == data
    assert str(island(data)).encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_data_survives_in_the_island(text: str) -> None:
    assert json.loads(str(island([text, {text: 1}]))) == [text, {text: 1}]
    assert not set("<>&\u2028\u2029\ud800") & set(str(island(text)))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError):
        PAGE.render("x", {"loss": float("nan")}, author="x")


def test_a_template_must_be_given_its_names() -> None:
    with pytest.raises(Exception, match="author"):
        PAGE.render("x", {})


def test_hostile_names_are_text(hostile: Path, visit: Visit) -> None:
    page = visit(hostile)
    shown = page.locator("tbody th").all_text_contents()
    assert shown == list(HOSTILE)
    assert page.locator("img").count() == 0 and page.locator("script").count() == 3
    assert page.locator(".standfirst").text_content() == f"By {HOSTILE[0]}"


def test_no_other_script_or_style_runs(hostile: Path, visit: Visit) -> None:
    text = hostile.read_text()
    hostile.write_text(text.replace("<main", "<script>document.title='run'</script><p style='color: red'></p><main"))
    page = visit(hostile)
    assert page.title() != "run"
    assert all("Content Security Policy" in problem for problem in visit.problems) and len(visit.problems) == 2
    visit.problems.clear()


def test_the_address_keeps_the_state(tmp_path: Path, visit: Visit) -> None:
    path = written(tmp_path, rows("b", "a", "a10", "a9"))
    page = visit(path)
    names = page.locator("tbody th")
    page.get_by_role("button", name="name").press("Enter")
    assert names.all_text_contents() == ["a", "a9", "a10", "b"]
    page.keyboard.press("Enter")  # the focus is still there
    assert names.all_text_contents() == ["b", "a10", "a9", "a"]
    assert page.locator("th[aria-sort=descending]").count() == 1
    again = visit(path, page.evaluate("() => location.hash"))
    assert again.locator("tbody th").all_text_contents() == ["b", "a10", "a9", "a"]
    page.go_back()
    page.go_back()
    assert names.all_text_contents() == ["b", "a", "a10", "a9"]
    page.get_by_label("Find").fill("a1")
    assert names.all_text_contents() == ["a10"]


def test_a_drawer_opens_and_closes_by_keyboard_and_link(tmp_path: Path, visit: Visit) -> None:
    path = written(tmp_path, rows("b", "a"))
    page = visit(path, "#row=a")
    assert page.get_by_role("dialog").get_by_role("heading").text_content() == "a"
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.hash.includes('row')")
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("button", name="b", exact=True).press("Enter")
    assert page.get_by_role("dialog").get_by_text("noted").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.textContent === 'b'")


def test_numbers_sort_with_nothing_last(tmp_path: Path, visit: Visit) -> None:
    data = rows("a", "b", "c")
    data["rows"][1]["value"] = None
    page = visit(written(tmp_path, data), "#sort=-value")
    assert page.locator("tbody th").all_text_contents() == ["c", "a", "b"]
    page.get_by_role("button", name="value").click()
    assert page.locator("tbody th").all_text_contents() == ["a", "c", "b"]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tmp_path: Path, visit: Visit, dark: bool) -> None:
    page = visit(written(tmp_path, rows("b", "a")), dark=dark)
    axe(page)
    page.get_by_role("button", name="b", exact=True).click()
    axe(page)


def test_the_reader_chooses_the_colours(tmp_path: Path, visit: Visit) -> None:
    page = visit(written(tmp_path, rows("a")), dark=True)
    paper = "() => getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#theme").click()
    assert page.evaluate(paper) != dark and page.locator("#theme").text_content() == "Colours: light"
    page.reload()
    assert page.locator("#theme").text_content() == "Colours: light", "it is kept"


def test_it_copies(tmp_path: Path, visit: Visit) -> None:
    page = visit(written(tmp_path, rows("a|b")))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("() => navigator.clipboard.readText()") == "| name |\n|---|\n| a\\|b |\n"
    assert page.locator("#announce").text_content() == "Copy: copied"
