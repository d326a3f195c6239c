"""Views: the same item asked otherwise, and the way back to its own options."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.audio import AudioRef
from audio_eval.edits import AudioEdit
from audio_eval.errors import UserError
from audio_eval.prompts import PromptTemplate, find, named
from audio_eval.questions import Question
from audio_eval.rl.views import (
    GAIN,
    KINDS,
    RATES,
    SHIFT_S,
    SNR_DB,
    View,
    draw_view,
    parse_kinds,
    plain_view,
)
from audio_eval.scoring import normalise, parse_choice
from tests.rl.fake_policy import make_question, tagged

TEMPLATE = PromptTemplate("test", "{{ question }}{% for option in lettered %} {{ option }}{% endfor %}")
ANIMALS = ("cat", "dog", "owl")
REWORDED = ("What is it?", "Name it.")


def viewable(
    id: str = "q",
    choices: tuple[str, ...] = ANIMALS,
    paraphrases: tuple[str, ...] = (),
    audio: AudioRef | None = None,
    template: PromptTemplate = TEMPLATE,
) -> Question:
    """A question that can be asked in views."""
    prompt = template.render("Which?", choices)
    return Question(id, audio, "Which?", choices, prompt, {"kind": "animal"}, paraphrases, template)


RICH = viewable(paraphrases=REWORDED, audio=AudioRef(path="q.wav"))


def seen(order: tuple[int, ...], choices: tuple[str, ...] = ANIMALS, id: str = "q") -> View:
    """The view that shows these options in this order."""
    question = viewable(id, choices)
    return View(question.worded(question.question, [choices[i] for i in order]), order)


# --- there and back --------------------------------------------------------------------------------------------------


def test_options_in_another_order() -> None:
    view = seen((2, 0, 1))  # shown: owl, cat, dog
    assert view.question.choices == ("owl", "cat", "dog")
    assert [view.original(i) for i in range(3)] == [2, 0, 1]
    assert [view.shown(i) for i in range(3)] == [1, 2, 0]
    assert view.original(None) is None


def test_of_options_with_the_same_text_the_first_stands_for_all() -> None:
    view = seen((2, 1, 0), ("cat", "dog", "Cat."))  # shown: Cat., dog, cat
    assert [view.original(i) for i in range(3)] == [0, 1, 0], "whichever cat is named, it is the item's first"
    assert [view.shown(i) for i in range(3)] == [0, 1, 0], "whichever cat is meant, it stands first here"


def test_the_plain_view_is_the_item() -> None:
    question = make_question("q", ("cat", "dog", "Cat."))
    view = plain_view(question)
    assert view.question is question, "and needs no template"
    assert [view.original(i) for i in range(3)] == [0, 1, 0] == [view.shown(i) for i in range(3)]
    assert plain_view(make_question("open", ())).order == ()


@st.composite
def orders(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Options, some of them alike, and an order to show them in."""
    texts = tuple(draw(st.lists(st.sampled_from(["cat", "Cat", "cat.", "dog", "a dog", "owl"]), min_size=1)))
    return texts, tuple(draw(st.permutations(range(len(texts)))))


@given(orders())
def test_original_and_shown_are_inverse(drawn: tuple[tuple[str, ...], tuple[int, ...]]) -> None:
    choices, order = drawn
    view, texts = seen(order, choices), [normalise(text) for text in choices]
    for i, text in enumerate(texts):
        first = texts.index(text)
        assert view.original(view.shown(i)) == first
        assert view.original(order.index(i)) == first
        # what a completion is parsed to, and what it is rewarded for, are the same place
        assert parse_choice(tagged(choices[i]), view.question.choices) == view.shown(i)
    for place in range(len(order)):
        back = view.original(place)
        assert back is not None and texts[back] == normalise(view.question.choices[place])
        assert view.shown(back) == view.shown(order[place])


# --- drawing ---------------------------------------------------------------------------------------------------------


def parts(view: View) -> tuple[tuple[int, ...], str, AudioEdit | None]:
    return view.order, view.question.question, view.question.audio.edit if view.question.audio else None


def test_a_view_is_keyed_by_seed_id_and_name() -> None:
    drawn = {
        (seed, id_, name): parts(draw_view(replace(RICH, id=id_), KINDS, seed, name))
        for seed in (0, 1) for id_ in ("q", "r") for name in ("vote/view0", "vote/view1", "step0/attempt0/view0")
    }  # fmt: skip
    for (seed, id_, name), view in reversed(drawn.items()):
        assert parts(draw_view(replace(RICH, id=id_), KINDS, seed, name)) == view, "whatever was drawn before"
    assert len({edit for _, _, edit in drawn.values()}) == 12


def test_a_view_is_keyed_by_nothing_else() -> None:
    other = replace(
        RICH,
        question="Who?",
        choices=("x", "y", "z"),
        audio=AudioRef(path="r.wav"),
        groups={},
        paraphrases=("A?", "B?"),
    )
    for i in range(20):
        one, two = draw_view(RICH, KINDS, 0, str(i)), draw_view(other, KINDS[::-1], 0, str(i))
        assert one.order == two.order and parts(one)[2] == parts(two)[2]


WHAT = {"choices": {"order"}, "paraphrase": {"question"}, "shift": {"shift_s"}, "gain": {"gain"},
        "noise": {"snr_db", "seed"}, "resample": {"rate"}}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_varies_what_it_says_and_nothing_else(kind: str) -> None:
    varied = set()
    for i in range(50):
        view = draw_view(RICH, [kind], 0, str(i))
        order, wording, edit = parts(view)
        varied |= {"order"} if order != (0, 1, 2) else set()
        varied |= {"question"} if wording != "Which?" else set()
        for name, plain in vars(AudioEdit()).items():
            varied |= {name} if edit is not None and getattr(edit, name) != plain else set()
        assert (view.question.id, view.question.groups, view.question.paraphrases) == ("q", RICH.groups, REWORDED)
    assert varied == WHAT[kind]


def test_edits_are_within_their_bounds() -> None:
    views = (draw_view(RICH, KINDS, 0, str(i)) for i in range(300))
    drawn = [audio.edit for view in views if (audio := view.question.audio) and audio.edit]
    assert len(drawn) == 300
    for low, high, values in [
        (-SHIFT_S, SHIFT_S, [edit.shift_s for edit in drawn]),
        (*GAIN, [edit.gain for edit in drawn]),
        (*SNR_DB, [edit.snr_db or 0.0 for edit in drawn]),
    ]:
        margin = 0.1 * (high - low)
        assert low <= min(values) < low + margin and high - margin < max(values) <= high
    assert {edit.rate for edit in drawn} == set(RATES)


def test_every_order_is_as_likely() -> None:
    counted = Counter(draw_view(RICH, ["choices"], 0, str(i)).order for i in range(1200))
    assert len(counted) == 6
    assert all(140 < n < 260 for n in counted.values())  # 200, +-4.6 standard deviations of 12.9


def test_paraphrases_are_those_of_the_task_and_the_wording_itself() -> None:
    worded = Counter(draw_view(RICH, ["paraphrase"], 0, str(i)).question.question for i in range(300))
    assert set(worded) == {"Which?", *REWORDED} and min(worded.values()) > 60
    without = [draw_view(viewable(), ["paraphrase"], 0, str(i)) for i in range(20)]
    assert all(view.question == viewable() for view in without)


def test_no_kinds_leave_the_item_as_it_is() -> None:
    view = draw_view(RICH, (), 0, "x")
    assert view.question == RICH and view.question.audio is RICH.audio and view.order == (0, 1, 2)


def test_the_prompt_is_made_anew_by_the_template() -> None:
    for i in range(30):
        view = draw_view(RICH, KINDS, 0, str(i))
        first, second, third = view.question.choices
        assert view.question.prompt == f"{view.question.question} A. {first} B. {second} C. {third}"
        assert tuple(RICH.choices[place] for place in view.order) == view.question.choices, "the texts are unchanged"
        assert view.question.template is TEMPLATE


@pytest.mark.parametrize("name", named())
def test_every_template_can_ask_a_view(name: str) -> None:
    question = viewable(template=find(name))
    for i in range(5):
        view = draw_view(question, ["choices"], 0, str(i))
        assert view.question.prompt == find(name).render("Which?", view.question.choices)
        assert (view.question.prompt == question.prompt) == (
            view.order == (0, 1, 2) or find(name).variables == {"question"}
        )


def test_an_item_without_a_recording_has_none_in_any_view() -> None:
    for i in range(20):
        assert draw_view(viewable(), KINDS, 0, str(i)).question.audio is None


def test_a_silenced_item_is_silent_in_every_view() -> None:
    silent = replace(RICH, audio=AudioRef(path="q.wav").edited(AudioEdit(gain=0.0)))
    for i in range(20):
        audio = draw_view(silent, KINDS, 0, str(i)).question.audio
        assert audio is not None and audio.edit is not None and audio.edit.gain == 0.0
    assert draw_view(silent, ["choices"], 0, "x").question.audio is silent.audio


def test_an_open_question_has_nothing_to_permute() -> None:
    view = draw_view(viewable(choices=()), KINDS, 0, "x")
    assert (view.question.choices, view.order) == ((), ())


def test_a_question_without_a_template_cannot_be_asked_otherwise() -> None:
    with pytest.raises(ValueError, match="'q' has no template"):
        draw_view(make_question("q"), ["choices"], 0, "x")


# --- names of kinds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("none", ()),
        ("", ()),
        ("choices", ("choices",)),
        ("choices+shift+gain", ("choices", "shift", "gain")),
        (" choices + noise ", ("choices", "noise")),
        ("+".join(KINDS), KINDS),
    ],
)
def test_kinds(text: str, kinds: tuple[str, ...]) -> None:
    assert parse_kinds(text) == kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("choice", "unknown view 'choice'. Did you mean 'choices'?"),
        ("choices,shift", "unknown view 'choices,shift'"),
        ("shift+speed", "unknown view 'speed'"),
        ("Choices", "unknown view 'Choices'. Did you mean 'choices'?"),
    ],
)
def test_unknown_kinds_are_told_of_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_kinds(text)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
    assert str(caught.value).endswith(f"Available: {', '.join(sorted(KINDS))}.")
