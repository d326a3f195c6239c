"""Denied and uncertain mentions choose nothing, and what is affirmed beside them is chosen."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.scoring import parse_choice
from audio_eval.scoring.denial import denied
from audio_eval.tasks.synth_aqa.items import make_item
from tests.scoring.test_forms import TRAPS, forms
from tests.shared_data import ROOT, shared_path


def script() -> ModuleType:
    """bench/denied_forms.py: a script that anyone can run, not a part of the package."""
    spec = importlib.util.spec_from_file_location("denied_forms", ROOT / "bench" / "denied_forms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = script()
PETS = ("cat", "dog", "bird", "piano and violin")
SYNTHETIC = [make_item(0, "test", i).choices for i in range(12)]
PLAIN = [PETS, *(TRAPS[name] for name in ("eight options", "one in another", "Chinese", "starts with an article"))]


def misread(table: str, items: list[tuple[str, ...]], right: bool, every: int = 1) -> tuple[list[str], int]:
    """The responses that are read wrongly, and the number of all."""
    found = list(tables.read(table, items, every))
    return [response for _, response, _, chosen in found if chosen is not right], len(found)


@pytest.mark.parametrize("form", tables.forms(tables.DENIED))
def test_no_denied_option_is_chosen(form: str) -> None:
    wrong, n = misread(form, [*PLAIN, *SYNTHETIC], right=False)
    assert n > 40 and not wrong


@pytest.mark.parametrize("form", tables.forms(tables.AFFIRMED))
def test_the_option_beside_a_denied_one_is_chosen(form: str) -> None:
    wrong, n = misread(form, [PETS, TRAPS["eight options"], *SYNTHETIC], right=True)
    assert n > 40 and not wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mmau", "mmar"])
def test_real_options(name: str) -> None:
    items = [item.choices for item in forms.read_items(shared_path("data/benchmarks") / forms.FILES[name])]
    for table, right, most in ((tables.DENIED, False, 0.0005), (tables.AFFIRMED, True, 0.003)):
        wrong, n = misread(table, items, right, every=60)
        assert n > 1500 and len(wrong) < most * n, wrong[:20]


@pytest.mark.parametrize(
    ("response", "choices", "index"),
    [
        ("There is no sound.", ("Sound", "No sound"), 1),
        ("No sound can be heard.", ("Sound", "No sound"), 1),
        ("There is no music.", ("There is no music", "Jazz"), 0),
        ("It is not possible.", ("Possible", "Not possible"), 1),
        ("He did not enter.", ("Entered", "Did not enter"), 1),
        ("The answer is None of the above.", ("cat", "None of the above"), 1),
        ("It cannot be determined.", ("dog", "Cannot be determined"), 1),
        ("The answer is no.", ("Yes", "No"), 1),
        ("No, they do not agree.", ("Yes", "No"), 1),
        ("Yes, there is no doubt.", ("Yes", "No"), 0),
        ("I'm not sure.", ("Yes", "No", "Not sure"), 2),
        ("B) No.", ("Yes", "No"), 1),
        ("There is no no sound.", ("Sound", "No sound"), None),
        ("No one is speaking.", ("One", "Two", "Three"), None),
        ("None of these.", ("Male", "Female", "None"), None),
        ("No doubt about it, he agrees.", ("Yes", "No"), None),
    ],
)
def test_options_that_deny(response: str, choices: tuple[str, ...], index: int | None) -> None:
    assert parse_choice(response, choices) == index


@pytest.mark.parametrize(
    ("response", "index"),
    [
        ("I don't hear a cat, a dog, or a piano and violin. It's a bird.", 2),
        ("Neither a cat nor a dog. A bird.", 2),
        ("A cat and a dog are not heard, so a bird.", 2),
        ("After ruling out the cat and the bird, I choose the dog.", 1),
        ("Having excluded A and C, the answer is B.", 1),
        ("Although I can't hear well, it is a dog.", 1),
        ("I'm not an expert; the sound is a dog.", 1),
        ("The final answer is (B) dog.\n\nOption A is wrong since no cat is heard.", 1),
        ("The answer is not \\boxed{A}. It is \\boxed{B}.", 1),
        ("I do not believe, however, that it is a dog.", None),
        ("There is no cat, dog or bird.", None),
        ("A cat or a dog?", None),
        ("Not only a dog but also a cat.", None),
        ("选项A和B都不对", None),
    ],
)
def test_several_are_mentioned(response: str, index: int | None) -> None:
    assert parse_choice(response, PETS) == index


@settings(max_examples=200, deadline=None)
@given(st.text(), st.lists(st.integers(0, 40), max_size=6))
def test_any_text_has_a_verdict_for_each_mention(text: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    spans = list(zip(places[::2], places[1::2], strict=False))
    assert len(denied(text, spans)) == len(spans)


def test_a_text_in_a_loop_is_read_in_time() -> None:
    """Each mention looks at a bounded part of its clause: the time grows with the text, not with its square."""
    assert parse_choice("dog " * 400 + "is not heard", PETS) is None
    assert parse_choice("not " * 4000 + "a dog", PETS) is None
