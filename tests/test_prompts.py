"""The named prompts, word by word, and templates of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_eval import prompts
from audio_eval.errors import UserError
from audio_eval.prompts import PromptTemplate

Q, C = "What {is} it?", ["dog", "it's a cat"]
LIST = "['dog', \"it's a cat\"]"
# As the sources print them (shared facts, and the repositories that each template names).
WORDED = {
    "r1_aqa": f"{Q} Please choose the answer from the following options: {LIST}. "
    "Output the final answer in <answer> </answer>.",
    "r1_aqa_open": f"{Q} Output the final answer in <answer> </answer>.",
    "r1_aqa_think": f"{Q} Please choose the answer from the following options: {LIST}. "
    "Output the thinking process in <think> </think> and final answer in <answer> </answer>.",
    "ke_omni_direct": f"{Q} Please choose the answer from the following options: {LIST}. "
    "Directly output the final answer in <answer> </answer>.",
    "ke_omni_think": f"{Q} Please choose the answer from the following options: {LIST}. "
    "Output the thinking process (less than 50 words) in <think> </think> and final answer in <answer> </answer>.",
    "west": f"{Q}Select one option from the provided choices.{LIST}",
    "mmau_official": f"{Q}  Select one option from the provided choices.\n{LIST}",
    "letter": f"{Q}\nA. dog\nB. it's a cat\nAnswer with the option's letter from the given choices directly.",
    "op_ttrav_boxed": f"{Q}\nA. dog\nB. it's a cat\nExplain your reasoning step by step in detail, then give your "
    "final answer as exactly one of: \\boxed{A}, or \\boxed{B}.",
    "op_ttrav_open": f"{Q}\nExplain your reasoning step by step, then give a concise answer to the question in 1-3 "
    "complete sentences.",
    "plain": Q,
    "audio_thinker": f"{Q} Please choose the answer from the following options: {LIST}. Where the question is hard, "
    "output the thinking process in <think> </think> first; where it is easy, leave it out. "
    "Output the final answer in <answer> </answer>.",
    "sari": f"{Q} Please choose the answer from the following options: {LIST}. Output the thinking process in <think> "
    "</think>, in four parts: <planning> </planning>, <caption> </caption>, <reasoning> </reasoning>, and <summary> "
    "</summary>. Then output the final answer in <answer> </answer>.",
    "audio_reasoner": "You are an audio deep-thinking model. Upon receiving a question, please respond in two parts: "
    "<THINK> and <RESPONSE>. The <THINK> section should be further divided into four parts: <PLANNING>, <CAPTION>, "
    f"<REASONING>, and <SUMMARY>.\n{Q} Please choose the answer from the following options: {LIST}.",
    "xs_cot": f"{Q}\nIn <think> </think>, write three lines: the transcript of the instruction in its own language, "
    "the instruction in English, and the response in English. "
    "Then write the response in the language of the instruction.",
}


@pytest.mark.parametrize("name", WORDED)
def test_wording(name: str) -> None:
    assert prompts.find(name).render(Q, C) == WORDED[name]


def test_which_prompts_ask_for_tags() -> None:
    asked = {name for name in prompts.named() if prompts.find(name).tagged}
    assert {"r1_aqa", "r1_aqa_think", "sari"} <= asked and not {"letter", "mmau_official", "op_ttrav_boxed"} & asked
    assert not PromptTemplate("own", "{# <answer> is not asked for -#}\n{{ question }}").tagged


def test_mmsu_shows_a_missing_slot_as_none() -> None:
    prompt = prompts.find("mmsu_official")
    assert prompt.slotted and prompt.lettered
    assert prompt.render("Who speaks?", ["", "male", "", "female"]) == (
        "Choose the most suitable answer from options A, B, C, and D. You must respond with only A, B, C, or D.\n\n"
        "Question: Who speaks?\n\nA. None\nB. male\nC. None\nD. female"
    )


def test_daily_omni() -> None:
    assert prompts.find("daily_omni_official").render("Who?", ["a", "b", "c", "d"]) == (
        "\nYour task is to accurately answer multiple-choice questions based on the given video.\n"
        "Select the single most accurate answer from the given choices.\nQuestion: Who?\n"
        "Choices: ['A. a', 'B. b', 'C. c', 'D. d']\n"
        "Your answer should be a capital letter representing your choice: A, B, C, or D. "
        "Don't generate any other text.\n"
    )


def test_op_ttrav_boxes_every_letter() -> None:
    text = prompts.find("op_ttrav_boxed").render("Who?", ["a", "b", "c", "d"])
    assert text.endswith("exactly one of: \\boxed{A}, \\boxed{B}, \\boxed{C}, or \\boxed{D}.")


def test_every_named_prompt_is_checked_here() -> None:
    assert set(prompts.named()) == {*WORDED, "mmsu_official", "daily_omni_official"}
    for name in prompts.named():
        assert prompts.find(name).about, f"{name} does not say where its wording is from"


def test_the_version_is_of_the_wording_not_of_the_comment(tmp_path: Path) -> None:
    first, second, other = (tmp_path / f"{n}" / "mine.jinja" for n in "abc")
    for path, text in ((first, "{# one #}{{ question }}!"), (second, "{{ question }}!\n"), (other, "{{ question }}?")):
        path.parent.mkdir()
        path.write_text(text)
    versions = [prompts.find(str(path)).version for path in (first, second, other)]
    assert versions[0] == versions[1] != versions[2]
    assert versions[0].startswith("mine@")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ question", "prompt 'mine' line 1: unexpected end"),
        ("{{ qestion }}", "unknown variable 'qestion' in prompt 'mine'. Did you mean 'question'"),
        ("{% include 'x' %}{{ question }}", None),
    ],
)
def test_broken_templates(text: str, says: str | None, tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(text)
    if says:
        with pytest.raises(UserError, match=says):
            prompts.find(str(path))
    else:
        with pytest.raises(UserError, match="prompt 'mine'"):
            prompts.find(str(path)).render("q", [])


def test_a_template_cannot_reach_out(tmp_path: Path) -> None:
    path = tmp_path / "evil.jinja"
    path.write_text("{{ question.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(UserError, match="prompt 'evil'"):
        prompts.find(str(path)).render("q", [])


def test_a_question_is_no_template() -> None:
    assert prompts.find("plain").render("{{ 1 + 1 }} {% x %}", []) == "{{ 1 + 1 }} {% x %}"


def test_missing_names_and_files() -> None:
    with pytest.raises(UserError, match="Did you mean 'r1_aqa_think'"):
        prompts.find("r1_aqa_thnk")
    with pytest.raises(UserError, match=r"prompt file 'nowhere\.jinja' cannot be read"):
        prompts.find("nowhere.jinja")


def test_the_users_own_template_says_how_an_option_is_stated(tmp_path: Path) -> None:
    said = {
        "{{ question }} {{ choices }}": "it's a cat",
        "{{ question }} {{ lettered }} {# <answer> is only mentioned here #}": "B",
        "{{ question }} {{ lettered }} <ANSWER></ANSWER>": "<ANSWER>it's a cat</ANSWER>",
        "{{ question }} {{ choices }} \\boxed{ }": "\\boxed{it's a cat}",
    }
    for i, (source, expected) in enumerate(said.items()):
        path = tmp_path / f"{i}.jinja"
        path.write_text(source)
        assert prompts.find(str(path)).stated(1, C) == expected
