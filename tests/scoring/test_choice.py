"""The ``choice`` rule: hand cases for each trap, and properties that hold for any options."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.scoring import has_format, normalise, parse_choice, score

PETS = ("cat", "dog", "bird", "piano and violin", "piano")
NOTES = ("G", "D", "E", "C")


@pytest.mark.parametrize(
    "response",
    [
        "dog", "Dog.", "  DOG\n", "**dog**", '"dog"', "`dog`", "- dog", "\uff44\uff4f\uff47",
        "B", "(B)", "B.", "b", "[B]", "'B'", "**B**", "$\\boxed{\\text{B}}$", "\\boxed{dog}",
        "B) dog", "B. dog", "(B) dog", "B: dog", "B - dog", "B dog", "**B. dog**",
        "B. dog\nThe cat is silent.", "B.\n\nThe clip has barking.", "B because cats meow",
        "The answer is B", "The correct answer is **B**.", "the answer is: B) dog", "Answer: b", "Answer: (b) dog",
        "Answer:B", "final answer: B\n", "option B", "I choose B", "I would go with option (B).", "B is correct",
        "The answer is B because cats meow", "Option A is wrong; option B is right", "The answer is B, not A.",
        "The answer is B dog", "The answer is a dog", "The answer is A dog", "A dog barks", "I hear a dog",
        "<answer>dog</answer>", "<answer>\n(B) dog\n</answer>", "A cat? A bird? <answer>B</answer>",
        "<answer>cat</answer> no, <answer>dog</answer>", "<ANSWER>dog</ANSWER>", "<answer>cat <answer>dog</answer>",
        "<think>cat or bird</think>dog", "<think>cat</think> <answer>dog</answer>", "<answer>dog", "dog dog",
        "It may be a cat, so \\boxed{B}", "Option A (cat)? Option C (bird)?\n\\[\\boxed{\\mathbf{B}}\\]",
        "\\boxed{A}? \\boxed{B}", "\\boxed{\\text{B. }\\text{dog}}", "<answer>no cat: \\boxed{B}</answer>",
        "<think>\\boxed{A}</think>dog", '{"answer": "B", "note": "no cat"}', "{'answer': 'dog'}", '{"answer": B}',
        '{"cat": 1, "final_answer": "(B) dog"}', "A cat? A bird?\nAnswer: dog",
        "A. cat is unlikely.\n**Final answer:** dog", "Cat.\nSo, the correct answer is: (B) dog",
        "B because there is no cat", "B. dog, since the cat is silent", "B\n\nThe cat is silent.", "B) dog\nNo cat.",
        "The answer is B because the cat is silent.", "dog because there is no cat", "not a cat but a dog",
    ],
)  # fmt: skip
def test_reads_the_named_option(response: str) -> None:
    assert parse_choice(response, PETS) == 1
    assert score("choice", response, PETS, "dog").outcome == "correct"


@pytest.mark.parametrize(
    ("response", "why"),
    [
        ("", "empty"), ("  \n", "empty"), ("<answer></answer>", "empty"), ("dog <answer> </answer>", "empty"),
        ("hmm", "no option named"), ("A person is here", "no option named"), ("I think so", "no option named"),
        ("A man", "no option named"), ("Answer: A man", "no option named"), ("dogs", "no option named"),
        ("hotdog", "no option named"), ("It is not a dog", "no option named"), ("A or B", "no option named"),
        ("dog, cat", "several options named"), ("cat or dog", "several options named"),
        ("dog <answer>cat or bird</answer>", "several options named"), ("(A) (B)", "several options named"),
        ("A. cat\nB. dog\nC. bird", "several options named"), ("Answer: A. Answer: B.", "several options named"),
        ("exactly one of \\boxed{A}, \\boxed{B}, \\boxed{C}, or \\boxed{D}", "no option named"),
        ("\\boxed{A or B}", "no option named"), ("dog \\boxed{}", "empty"),
        ("\\boxed{A. dog}", "letter and text disagree"), ('{"answer": null}', "empty"),
        ('{"answer": ["A", "B"]}', "no option named"), ('{"answer": "A, B"}', "no option named"),
        ("Answer: A\nAnswer: B", "several options named"), ("The answer is A.\nAnswer: B", "several options named"),
        ("I hear a dog.\nAnswer: unclear", "no option named"), ("Answer: A or B", "no option named"),
        ("A\nB\nC", "no option named"), ("B. dog. I think the answer is A.", "several options named"),
        ("B\ncat", "letter and text disagree"), ("B. cat because it meows", "letter and text disagree"),
        ("B. dog or A. cat", "several options named"),
        ("Z", "letter out of range"), ("I", "letter out of range"), ("The answer is Z.", "letter out of range"),
        ("B. cat", "letter and text disagree"), ("(B) cat", "letter and text disagree"),
        ("B cat", "letter and text disagree"), ("The answer is B: cat", "letter and text disagree"),
    ],
)  # fmt: skip
def test_names_no_single_option(response: str, why: str) -> None:
    assert parse_choice(response, PETS) is None
    verdict = score("choice", response, PETS, "dog")
    assert (verdict.outcome, verdict.choice, verdict.why) == ("wrong", None, f"unparsable: {why}")


@pytest.mark.parametrize("said", ["dog", "B", "It is a dog."])
def test_thinking_is_left_out_in_either_case(said: str) -> None:
    assert parse_choice(f"<THINK><CAPTION>a cat</CAPTION></THINK>\n<RESPONSE>{said}</RESPONSE>", PETS) == 1
    assert parse_choice(f"<think>a cat</think>{said}", PETS) == 1


def test_an_option_inside_another_is_not_named_by_it() -> None:
    assert parse_choice("I hear piano and violin", PETS) == 3
    assert parse_choice("I hear a piano", PETS) == 4
    assert parse_choice("piano and violin, no, piano", PETS) is None


def test_text_wins_over_letter() -> None:
    assert [parse_choice(r, ("B", "A", "D", "C")) for r in ("B", "(A)", "The answer is D", "c")] == [0, 1, 2, 3]
    assert [parse_choice(r, NOTES) for r in ("D", "The note is D", "(A) G", "B. D", "The answer is C.")] == [
        1,
        1,
        0,
        1,
        3,
    ]
    assert parse_choice("A", NOTES) is None, "a note that is not offered, not the first option"


@pytest.mark.parametrize(
    ("response", "choices", "index"),
    [
        ("C# major", ("C major", "C# major"), 1),
        ("It is in C#", ("C", "D"), None),
        ("5.5 seconds", ("5", "6"), None),
        ("-5 dB", ("5 dB", "-5 dB"), 1),
        ("A/G", ("A", "A/G"), 1),
        ("The answer is A minor", ("C major", "A minor"), 1),
        ("The answer is I, IV, V.", ("I, IV, V", "I, V, IV"), 0),
        ("E:maj/1; B:maj/1", ("B:maj/1", "E:maj/1"), None),
        ("U.S. accent", ("UK accent", "U.S. accent"), 1),
        ("The U.S. accent", ("UK accent", "U.S. accent"), 1),
        ("I think it is Don't like.", ("Don't like", "Like"), 0),
        ("['x', 'y']", ("['y', 'x']", "['x', 'y']"), 1),
        ("None", ("male", "None"), 1),
        ("C", ("male", None, "female", None), 2),
        ("B", ("male", None, "female", None), None),
        ("?", ("?", "!"), 0),
        ('{"answer": null}', ("male", "None"), None),
        ('{"answer": 5}', ("4", "5"), 1),
        ("$\\boxed{50\\%}$", ("5%", "50%"), 1),
        ("A. Because he fell", ("Because he fell", "Because he sang"), 0),
        ("A. Because he sang", ("Because he fell", "Because he sang"), None),
        ("A. Because he sang a song", ("Because he fell", "Because he sang"), None),
        ("B. No because she left because of him", ("No", "No because she left"), 1),
        ("A. No because she left", ("No", "No because she left"), None),
    ],
)
def test_odd_options(response: str, choices: tuple[str | None, ...], index: int | None) -> None:
    assert parse_choice(response, choices) == index


def test_duplicates_of_the_gold_are_right() -> None:
    choices = ("two", "Four.", "four")
    assert parse_choice("four", choices) == 1
    assert score("choice", "C", choices, "four") == ("correct", 1, "letter")
    assert score("choice", "four", choices, "Four.").outcome == "correct"
    assert score("choice", "two", choices, "four").outcome == "wrong"


def test_no_options_hidden_answer_and_unknown_rule() -> None:
    assert score("choice", "dog", (), "dog").why == "unparsable: the item has no options"
    assert score("choice", "dog", PETS, "").outcome == "excluded"
    with pytest.raises(UserError, match="Did you mean 'choice'"):
        score("choise", "dog", PETS, "dog")


def test_format() -> None:
    assert has_format(" <answer>a\nb</answer>\n")
    for response in ("", "dog", "<answer>dog", "x <answer>dog</answer>", "<answer>a</answer><answer>b</answer>"):
        assert not has_format(response)


words = st.text(string.ascii_lowercase + "\u00e9\u00fc\u4e2d", min_size=3, max_size=8)
option_lists = st.lists(st.lists(words, min_size=1, max_size=3).map(" ".join), min_size=2, max_size=8)
FORMS = (
    "{text}", "{text}.", "**{text}**", "<answer>{text}</answer>", "({letter}) {text}", "{letter}. {text}", "{letter}",
    "({letter})", "The answer is {letter}.", "The answer is ({letter}) {text}", "Answer: {letter}. {text}",
    "<answer>{letter}) {text}</answer>", "It may be {other}.\n<answer>{text}</answer>",
    "It may be {other}.\n\\boxed{{{letter}}}", "It may be {other}.\nAnswer: {text}", "{letter}. {text} because {other}",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(option_lists, st.data())
def test_gold_is_right_and_others_are_wrong_in_every_form(choices: list[str], data: st.DataObject) -> None:
    gold, said = (data.draw(st.integers(0, len(choices) - 1)) for _ in range(2))
    form = data.draw(st.sampled_from(FORMS))
    # A text that is itself a phrase of the form, or one option mentioned by another's text, is another test's matter.
    assume(not {"the", "answer", "may"} & {word for choice in choices for word in choice.split()})
    response = form.format(text=choices[said], letter=string.ascii_uppercase[said], other=choices[gold])
    verdict = score("choice", response, choices, choices[gold])
    assert verdict.choice is not None
    assert (verdict.outcome == "correct") == (normalise(choices[said]) == normalise(choices[gold]))


@settings(max_examples=150, deadline=None)
@given(st.text(), st.lists(st.text(max_size=12), max_size=6))
def test_garbage_never_raises(response: str, choices: list[str]) -> None:
    index = parse_choice(response, choices)
    assert index is None or 0 <= index < len(choices)
    for rule in ("choice", "mmau_official", "mmsu_official"):
        assert score(rule, response, choices, "dog").outcome in ("correct", "wrong", "excluded")


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="ABI ab.,:()*<>\\{}'\"\n-/answerisoption", max_size=60))
def test_near_garbage_never_raises(response: str) -> None:
    parse_choice(response, PETS)
