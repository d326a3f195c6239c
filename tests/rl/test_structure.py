from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.rl.structure import (
    FORMATS,
    SECTIONS,
    Format,
    has_structure,
    has_thinking,
    length_reward,
    segments,
    structure_reward,
    thinking,
    written,
)
from audio_eval.scoring import has_format, parse_choice
from tests.rl.fake_policy import make_group, make_question

PARTS = {tag: f"the {tag}" for tag in (*SECTIONS, "think")}
REASONER = (
    "<THINK>\n<PLANNING>p</PLANNING>\n<CAPTION>c</CAPTION>\n<REASONING>r</REASONING>\n<SUMMARY>s</SUMMARY>\n</THINK>\n"
    "<RESPONSE>dog</RESPONSE>"
)
THINK = "<think>a bark</think><answer>dog</answer>"


@pytest.mark.parametrize("format", get_args(Format))
def test_what_is_written_in_a_format_has_it(format: Format) -> None:
    text = written(PARTS, "dog", format)
    assert has_structure(text, format) and not has_structure(f"So: {text}", format)
    assert not has_structure(text + text, format)
    (*_, last) = FORMATS[format]
    assert segments(text, format) == {s.tag: PARTS.get(s.tag, "dog") for s in FORMATS[format]}
    group = make_group(make_question("q"), {text: 1})
    assert structure_reward(group, format) == [1.0] and structure_reward(group, format, graded=True) == [1.0]
    assert last.tag == "response" or parse_choice(text, ("cat", "dog")) == 1
    assert sum(segment.share for segment in FORMATS[format]) == 1


@pytest.mark.parametrize(
    ("text", "format", "whole", "share"),
    [
        (THINK, "think_answer", True, 1.0),
        (THINK.upper(), "think_answer", True, 1.0),
        (THINK, "answer", False, 1.0),
        ("<answer>dog</answer>", "think_answer", False, 0.75),
        ("<answer>dog</answer>", "maybe_think", True, 0.75),
        (THINK, "maybe_think", True, 1.0),
        ("<think>a bark</think> dog", "think_answer", False, 0.25),
        ("<think>a bark", "think_answer", False, 0.0),
        ("<answer>dog</answer><think>a bark</think>", "think_answer", False, 0.25),  # the thinking is first in order
        ("<think>a</think><think>b</think><answer>dog</answer>", "think_answer", False, 0.75),
        ("</think>a<think><answer>dog</answer>", "think_answer", False, 0.75),
        ("<think>a <answer>cat</answer> or</think> <answer>dog</answer>", "think_answer", False, 0.25),
        (f"Well. {THINK}", "think_answer", False, 1.0),
        (REASONER, "audio_reasoner", True, 1.0),
        (REASONER.lower(), "audio_reasoner", True, 1.0),
        (REASONER.replace("<RESPONSE>", "so <RESPONSE>"), "audio_reasoner", False, 1.0),
        (REASONER.replace("</THINK>", ""), "audio_reasoner", False, 0.75),
        (REASONER.replace("<SUMMARY>s</SUMMARY>", ""), "audio_reasoner", False, 1 - 0.0625),
        (REASONER.replace("CAPTION", "PLAN2").replace("PLANNING", "CAPTION").replace("PLAN2", "PLANNING"),
         "audio_reasoner", False, 1 - 0.0625),
        (REASONER, "sections", False, 0.25),
        ("dog", "answer", False, 0.0),
        ("", "sections", False, 0.0),
    ],
)  # fmt: skip
def test_structure(text: str, format: Format, whole: bool, share: float) -> None:
    group = make_group(make_question("q"), {text: 2})
    assert has_structure(text, format) is whole
    assert structure_reward(group, format).tolist() == [float(whole)]
    assert structure_reward(group, format, graded=True) == pytest.approx([share])


TAGS = [f"<{slash}{tag}>" for tag in ("think", "answer", "RESPONSE", *SECTIONS) for slash in ("", "/")]
TEXTS = st.lists(st.sampled_from([*TAGS, " ", "\n", "dog"]) | st.text(max_size=3), max_size=14).map("".join)


@given(TEXTS, st.sampled_from(get_args(Format)))
def test_no_text_raises_and_the_whole_is_worth_1(text: str, format: Format) -> None:
    share = structure_reward(make_group(make_question("q"), {text: 1}), format, graded=True)[0]
    assert 0 <= share <= 1 + 1e-9
    if has_structure(text, format) and format != "maybe_think":
        assert share == pytest.approx(1)
    if format == "answer" and text == text.lower():
        assert has_structure(text, format) == has_format(text), "R1-AQA's own format reward"


def test_a_long_completion_is_read_in_time() -> None:
    text = "<think>" + "<planning>" * 3000 + "a " * 30000 + "</think>" * 3000
    assert not has_structure(text, "sections") and segments(text, "sections") == {}


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        (THINK, "a bark"), ("<THINK> so </THINK>dog", "so"), ("<think></think><answer>dog</answer>", ""),
        ("<think> \n </think>", ""), ("<think>cut off", "cut off"), ("dog", ""), ("dog</think>", ""),
    ],
)  # fmt: skip
def test_thinking(text: str, thought: str) -> None:
    assert thinking(text) == thought and has_thinking(text) is bool(thought)


def test_length_reward() -> None:
    words = [0, 1, 3, 4, 5, 8, 20]
    group = make_group(make_question("q"), {f"<think>{'so ' * n}</think>{n}": 1 for n in words})
    np.testing.assert_allclose(length_reward(group, 4), [0, 0.25, 0.75, 1, 0.75, 0, 0])
