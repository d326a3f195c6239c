"""The ``choice`` rule reads every form of a response that bench/choice_forms.py builds, on traps and real items.

Every option of an item is said in every form: the gold so said is right, a wrong option so said never is.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from audio_eval.scoring import parse_choice, score
from tests.shared_data import ROOT, shared_path


def script() -> ModuleType:
    """bench/choice_forms.py: a script that anyone can run, not a part of the package."""
    spec = importlib.util.spec_from_file_location("choice_forms", ROOT / "bench" / "choice_forms.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


forms = script()

TRAPS = {
    "plain": ("cat", "dog", "bird", "rain"),
    "yes or no": ("Yes", "No"),
    "duplicates": ("both are sad.", "first is sad, second is happy.", "both are sad.", "Both are happy."),
    "eight options": ("Lake", "Airport", "Forest", "Desert", "City", "Beach", "Cave", "Harbour"),
    "numbers with units": ("5 seconds", "5.5 seconds", "15 seconds", "-5 dB"),
    "bare numbers": ("1", "2", "12", "2.5"),
    "one in another": ("piano", "piano and violin", "violin", "grand piano"),
    "list-like": ("['a', 'b']", "['b', 'a']", "['a', 'c']", "['c', 'b']"),
    "commas and slashes": ("I, IV, V", "I, V, IV", "A/G", "pop/rock"),
    "Chinese": ("猫在叫", "狗在叫", "（下雨）", "猫和狗，都在叫"),  # noqa: RUF001
    "starts with an article": ("A dog", "A cat", "A dog and a cat", "An owl"),
    "starts with because": ("Because he fell", "Because he fell asleep", "Because it is loud", "No"),
    "chords": ("C#m7", "Ebm", "F#", "G#"),
    "keys in a sentence": ("A minor", "C major", "A major", "C# major"),
    "negations": ("Like", "Don't like", "Not sure", "None"),
    "roman numerals and letters": ("V7", "ii°", "III+", "vi"),
    "empty slot": ("Entered", "Did not enter", ""),
}
NOTES = ("G", "D", "E", "C")


@pytest.mark.parametrize("form", forms.FORMS)
@pytest.mark.parametrize("trap", TRAPS)
def test_every_option_of_a_trap_is_read_in_every_form(trap: str, form: str) -> None:
    choices = TRAPS[trap]
    count = forms.tally([forms.Item(choices, choice) for choice in choices if choice], forms.FORMS[form])
    assert (count.right, count.passed, count.same) == (count.items, 0, 0), count.missed


def test_options_that_are_letters_are_read_by_text_and_a_bare_letter_is_never_a_place() -> None:
    for option in forms.said(NOTES):
        for name, form in forms.FORMS.items():
            index = parse_choice(form(option), NOTES)
            if form(option) != form(option._replace(text="")):
                assert index is not None and NOTES[index] == option.text, name
            else:
                assert index is None or NOTES[index] == option.letter, name
    assert [score("choice", r, NOTES, "E").outcome for r in ("E", "C. E", "C", "A")] == ["correct"] * 2 + ["wrong"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("name", forms.FILES)
def test_forms_on_the_official_metadata(name: str) -> None:
    """Every fifth item, for time; ``python bench/choice_forms.py`` reads all of them."""
    items = forms.read_items(shared_path("data/benchmarks") / forms.FILES[name])
    assert len(items) == 1000
    for form, build in forms.FORMS.items():
        count = forms.tally(items[::5], build)
        assert count.share >= 99.5, (form, count.missed)
        assert count.passed == 0, form
        assert count.same <= 1, form
