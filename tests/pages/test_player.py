"""The player of recordings, in a browser: it plays, seeks, compares and says what it cannot play."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioRef
from audio_eval.clips import ALLOW, Clips, Heard, beside
from audio_eval.edits import AudioEdit
from audio_eval.pages import Page
from tests.hostile import NAMES
from tests.pages.conftest import Visit, axe

if TYPE_CHECKING:
    from playwright.sync_api import Locator

PAGE = Page(
    "tests.pages.sample", "sample.html", ("audio_eval.clips:player.css",),
    ("audio_eval.clips:player.js", "recordings.js"), ALLOW,
)  # fmt: skip
SECONDS = 3.0


@pytest.fixture
def audio(tmp_path: Path) -> AudioRef:
    """Three seconds that swell, with a second tone from the middle on."""
    t = np.arange(round(SECONDS * 16_000)) / 16_000
    wave = 0.5 * t / SECONDS * np.sin(2 * np.pi * 440 * t) + 0.3 * (t > SECONDS / 2) * np.sin(2 * np.pi * 3000 * t)
    soundfile.write(tmp_path / "a b.wav", wave, 16_000)
    return AudioRef(path=str(tmp_path / "a b.wav"))


def written(folder: Path, clips: Clips, *items: list[Heard]) -> Path:
    data: dict[str, Any] = {"items": [clips.heard(item) for item in items], "sounds": clips.sounds}
    (folder / "page.html").write_bytes(PAGE.render("Recordings", data, author="x").encode())
    return folder / "page.html"


def at(player: Locator) -> float:
    """Where it is, in seconds, as a screen reader is told."""
    return float(player.get_by_role("slider").get_attribute("aria-valuenow") or "nan")


def wait_until(player: Locator, seconds: float) -> None:
    slider = player.get_by_role("slider").element_handle()
    player.page.wait_for_function("([s, t]) => Number(s.getAttribute('aria-valuenow')) >= t", arg=[slider, seconds])


def test_it_plays_and_time_advances(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    page = visit(written(tmp_path, Clips(), [Heard("original", audio)], [Heard("original", audio)]))
    first, second = page.locator(".player").all()
    assert page.locator("audio").evaluate_all("all => all.map((one) => one.paused)") == [True, True], "not by itself"
    assert first.locator(".player-clock").text_content() == "0:00.0 / 0:03.0"
    first.get_by_role("button", name="Play").click()
    wait_until(first, 0.3)
    assert at(second) == 0
    second.get_by_role("button", name="Play").click()
    wait_until(second, 0.2)
    assert page.locator("audio").evaluate_all("all => all.map((one) => one.paused)") == [True, False], "one at a time"
    second.get_by_role("button", name="Pause").click()
    stopped = at(second)
    page.wait_for_timeout(150)
    assert at(second) == pytest.approx(stopped, abs=0.05)


def test_it_is_moved_by_keyboard_and_mouse(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    page = visit(written(tmp_path, Clips(), [Heard("original", audio)]))
    player, slider = page.locator(".player"), page.get_by_role("slider")
    slider.press("ArrowRight")
    slider.press("ArrowRight")
    assert at(player) == pytest.approx(0.3)
    for key, place in (("End", 3.0), ("PageDown", 2.4), ("Home", 0.0), ("ArrowLeft", 0.0)):
        slider.press(key)
        assert at(player) == pytest.approx(place), key
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 2 / 3, box["y"] + box["height"] / 2)
    assert at(player) == pytest.approx(2.0, abs=0.02)
    assert slider.get_attribute("aria-valuetext") == "2.0 of 3.0 seconds"
    slider.press(" ")
    wait_until(player, 2.3)
    slider.press("Home")
    wait_until(player, 0.1)
    assert at(player) < 2, "seeking while it plays"
    slider.press(" ")
    assert page.locator("audio").evaluate("one => one.paused")


def test_tabs_compare_at_the_same_place(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    heard = [
        Heard("original", audio),
        Heard("heard: silence", audio.edited(AudioEdit(gain=0.0)), "as long as the recording"),
        Heard("heard: none", None, "the model was given the text alone"),
    ]
    page = visit(written(tmp_path, Clips(), heard))
    player = page.locator(".player")
    player.get_by_role("slider").press("PageUp")
    player.get_by_role("button", name="Play").click()
    wait_until(player, 0.7)
    player.get_by_role("tab", name="heard: silence").click()
    assert player.get_by_role("button", name="Pause").count() == 1, "it goes on"
    wait_until(player, 0.8)
    heights = "all => all.map((one) => one.getBBox().height)"
    assert player.locator("polygon").evaluate_all(heights)[0] < 1.5, "silence is flat"
    player.get_by_role("tab", name="heard: silence").press("ArrowRight")
    assert player.get_by_role("tab", name="heard: none").evaluate("one => one === document.activeElement")
    assert player.get_by_role("tabpanel").text_content() == "the model was given the text alone"
    axe(page)
    player.get_by_role("tab", name="heard: none").press("ArrowRight")
    assert player.get_by_role("tab", name="original").get_attribute("aria-selected") == "true"
    assert player.locator("polygon").evaluate_all(heights)[0] > 30


def test_what_cannot_be_played_says_why(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no sound")
    broken = AudioRef(path=str(tmp_path / "broken.wav"))
    page = visit(written(tmp_path, Clips(), [Heard(name, broken, name) for name in NAMES if name], []))
    first, second = page.locator(".player").count(), page.locator("#here > p").text_content()
    assert (first, second) == (1, "This item has no recording.")
    assert page.locator("img, script").count() == 3, "names are text"
    assert page.get_by_role("tab").all_text_contents() == [name for name in NAMES if name]
    page.get_by_role("tab").nth(3).click()
    assert page.get_by_role("tabpanel").text_content() is not None
    assert "broken.wav: " in (page.get_by_role("tabpanel").text_content() or "")


def test_a_link_plays_and_a_dead_one_says_so(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    soundfile.write(tmp_path / "gone.wav", np.zeros(16_000), 16_000)
    gone = AudioRef(path=str(tmp_path / "gone.wav"))
    path = written(tmp_path, Clips(0, beside(tmp_path)), [Heard("original", audio)], [Heard("original", gone)])
    (tmp_path / "gone.wav").unlink()
    page = visit(path)
    first, second = page.locator(".player").all()
    first.get_by_role("button", name="Play").click()
    wait_until(first, 0.2)
    assert first.locator(".player-clock").text_content().endswith("/ 0:03.0")  # type: ignore[union-attr]
    second.get_by_text("It cannot be played").wait_for()
    assert second.get_by_role("button", name="Play").is_disabled()
    assert {problem.rsplit("/", 1)[-1] for problem in visit.problems if problem.startswith("file:")} == {
        "a%20b.wav", "gone.wav"
    }  # fmt: skip
    visit.problems.clear()


def test_a_hidden_player_falls_silent(tmp_path: Path, audio: AudioRef, visit: Visit) -> None:
    page = visit(written(tmp_path, Clips(), [Heard("original", audio)]))
    page.get_by_role("button", name="Play").click()
    wait_until(page.locator(".player"), 0.1)
    playing = page.locator("audio").element_handle()
    page.evaluate("() => document.querySelector('#here').replaceChildren()")
    page.wait_for_function("(one) => one.paused", arg=playing)


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tmp_path: Path, audio: AudioRef, visit: Visit, dark: bool) -> None:
    view = audio.edited(AudioEdit(gain=0.7, shift_s=0.1))
    heard = [Heard("original", audio), Heard("heard: a view", view, "view 1 of the vote's 8: 100 ms later")]
    page = visit(written(tmp_path, Clips(), heard, heard[:1]), dark=dark)
    axe(page)
