"""Where a response states its answer, and in which spelling: thinking, marks, other turns, signs, letters after Z."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval import prompts
from audio_eval.letters import letter_at, place_of
from audio_eval.scoring import parse_choice
from audio_eval.scoring.thinking import spoken
from tests.scoring.test_forms import forms
from tests.shared_data import shared_path

PETS = ("cat", "dog", "bird", "piano and violin")
NOTES = ("G", "D", "E", "C")
KEYS = ("E-flat major", "E major", "C sharp minor", "C minor")
MANY = tuple(
    f"sound of {word}" for word in ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
) + tuple(f"noise {a}{b}" for a in "xyzwv" for b in "pqrst")


def test_inputs_that_failed_before() -> None:
    lines = shared_path("data/cases/answers.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    read = {case["name"]: parse_choice(case["response"], case["choices"]) for case in cases}
    assert len(read) > 60
    assert read == {c["name"]: read[c["name"]] if c["expected"] == "*" else c["expected"] for c in cases}


@pytest.mark.parametrize(
    "response",
    [
        "<think>..<answer>A</answer>..</think>B", "<think>\\boxed{A}</think><answer>B</answer>",
        "The box \\boxed{A} is tempting.\nAnswer: B", "\\boxed{A}? Wait.\nFinal answer: dog", "Answer: A\n\\boxed{B}",
        "<answer>A</answer>\nAnswer: B", "\\boxed{A}. So the answer is B.", '{"answer": "A"} No, the answer is B.',
        "<answer>B</answer><answer>", "<answer>your answer</answer> cat <answer>B", "<answer>\\boxed{B}</answer>",
        "<answer>Answer: B</answer>", '{"answer": "B', "\\boxed{B", "\\boxed B", "**Answer**\n\nB. dog",
        "<thinking>cat</thinking>dog", "<THINK>cat</THINK>dog", "[THINK]cat[/THINK]dog", "◁think▷cat◁/think▷dog",
        "<|begin_of_thought|>cat<|end_of_thought|>dog", "cat was my thought</think>dog",
        "<think>cat <think>bird</think> or</think>dog",
        "<think>cat</think>dog<think>or a cat", "dog<think>cat?</think>",
        "<|channel|>analysis<|message|>cat<|end|><|start|>assistant<|channel|>final<|message|>dog<|return|>",
        "analysisWe hear a cat.assistantfinaldog", "system\nYou help.\nuser\nA. cat?\nassistant\nB. dog",
        "<|im_start|>assistant\nB<|im_end|>", "dog<|im_end|>\n<|im_start|>user\nAnd the cat?",
        "<s>B</s>", "<pad><pad>B",
        "Answer: B (dog). The cat is silent.", "2", "Option 2", "B B B", "[B]", "\u3010B\u3011", "$B$", "\\textbf{B}",
        "答案是B", "答案：B", "我选择B。", "应该选B", "正确答案是选项B", "B，因为是狗叫", "答案为dog",  # noqa: RUF001
        "d\u200bog", "\u2068dog\u2069", "d\u00adog", "\ufeffB", "dog\u2014not a cat", "dog \u2013 not a cat",
    ],
)  # fmt: skip
def test_reads_the_second_option(response: str) -> None:
    assert parse_choice(response, PETS) == 1


@pytest.mark.parametrize(
    "response",
    [
        "<think>it is a dog", "<thinking>dog", "[THINK]dog", "◁think▷dog", "<|channel|>analysis<|message|>dog",
        "<think>a dog</think><answer>", "<think>a dog</think>\n<ans", "It is a dog. <answer>", "I hear a dog <answ",
        "I hear a dog.\nAnswer:", "<think>a dog</think>", "B. dog\nuser\nWhat else?\nA. cat", "5", "I'd say.",
    ],
)  # fmt: skip
def test_no_answer_is_given(response: str) -> None:
    assert parse_choice(response, PETS) is None


@pytest.mark.parametrize(
    ("response", "choices", "index"),
    [
        *((form, KEYS, 0) for form in ("E♭ major", "E flat major", "Eb major", "The key is E-flat major.")),
        *((form, KEYS, 2) for form in ("C# minor", "C♯ minor", "C-sharp minor", "It is C Sharp minor")),
        *((form, NOTES, None) for form in ("E♭", "E-flat", "The key is E flat", "C sharp", "Eb", "The note is C#")),
        ("B flat minor", ("B minor", "B♭ minor"), 1),
        ("It is a flat tone", ("flat tone", "sharp tone"), 0),
        *(
            (f"5{dash}10 seconds", ("0-5 seconds", "5-10 seconds"), 1)
            for dash in "\u2010\u2011\u2012\u2013\u2014\u2015"
        ),
        ("Hip\u2010hop", ("Rock", "Hip-hop"), 1),
        ("{'answer': \"it's\"}", ("its", "it's", "no"), 1),
        ("{'answer': 'it's a dog'}", ("it's a dog", "a cat"), 0),
        ("{'answer': 'it\\'s a dog'}", ("it's a dog", "a cat"), 0),
        ('{"answer": "the \\"big\\" dog"}', ('the "big" dog', "a cat"), 0),
        ('{"answer": "the "big" dog", "why": "x"}', ('the "big" dog', "a cat"), 0),
        ("2", ("One", "Two", "Three"), None),
        ("D. Smith", PETS, None),
        ("声音来自狗", ("猫", "狗"), 1),
        ("不是猫，是狗", ("猫", "狗"), 1),  # noqa: RUF001
        ("没有狗的声音", ("猫", "狗"), None),
    ],
)
def test_spellings(response: str, choices: tuple[str, ...], index: int | None) -> None:
    assert parse_choice(response, choices) == index


def test_letters_after_z_are_what_prompts_show_and_readers_read() -> None:
    assert [letter_at(place) for place in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert all(place_of(letter_at(place)) == place for place in range(1000))
    shown = prompts.find("letter").render("Which?", MANY)
    for place, option in enumerate(MANY):
        letter = letter_at(place)
        assert f"{letter}. {option}" in shown
        for said in (letter, f"({letter})", f"{letter}. {option}", f"The answer is {letter}.", f"\\boxed{{{letter}}}"):
            assert parse_choice(said, MANY) == place, said
    for other in ("[", "AZ", "\\", "Option AA is wrong."):
        assert parse_choice(other, MANY) is None


ENDS = (
    "<|im_end|>", "</s>", "<|endoftext|>", "<eos>", "<end_of_turn>",
    "<|eot_id|>", "<|end|>", "<pad>", "<|return|>", "[EOS]",
    "<\uff5cend\u2581of\u2581sentence\uff5c>", "<|im_end|>\n<|endoftext|>", "\u200b",
    "\ufeff", "\u2060", "\u200e", "\u00ad",
)  # fmt: skip
SAYINGS = ("dog", "B", "B. dog", "The answer is B.",
"<answer>dog</answer>", "\\boxed{B}", "I do not hear a dog.", "Answer: B",
           '{"answer": "B"}', "It is not a cat but a dog.", "<think>a cat</think>dog",
           "<think>a dog", "", "答案是B")  # fmt: skip
THOUGHTS = ("<think>{}</think>", "<thinking>{}</thinking>\n",
"[THINK]{}[/THINK]", "◁think▷{}◁/think▷", "{}</think>\n\n",
            "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>")  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("said", SAYINGS)
def test_what_ends_a_turn_or_is_not_seen_changes_nothing(said: str, end: str) -> None:
    assert parse_choice(said + end, PETS) == parse_choice(said, PETS)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.sampled_from(ENDS), st.integers(0, 40))
def test_the_same_for_any_text(text: str, end: str, place: int) -> None:
    if "<" in text or "[" in text:  # such a text may end in half a token
        return
    assert parse_choice(text + end, PETS) == parse_choice(text, PETS)
    unseen = text[:place] + "\u200b" + text[place:]
    assert parse_choice(unseen, PETS) == parse_choice(text, PETS)


@pytest.mark.parametrize("thought", THOUGHTS)
@pytest.mark.parametrize("form", [form for form in forms.FORMS if "think" not in form])
def test_a_form_after_thinking_reads_the_same(form: str, thought: str) -> None:
    for option in forms.said(PETS):
        response = forms.FORMS[form](option)
        musing = f"Is it a cat, <answer>A</answer> or \\boxed{{C}}? Answer: D, not {option.text}."
        assert parse_choice(thought.format(musing) + response, PETS) == PETS.index(option.text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="AB dog<>/[]|think◁▷answer\\{}:\"'\n", max_size=60))
def test_turns_never_raise(text: str) -> None:
    assert isinstance(spoken(text), str)
    parse_choice(text, PETS)
