"""The training data of tiny-omni: an instruct mixture over the clips of synth_aqa's ``train`` split, nothing else.

Captions, open answers in free words, and multiple choice in several layouts and wordings. As in mixtures of many data
sets, a format does not occur for every kind of question: answers in <answer> tags exist only for the kinds in
``TAGGED``. Where no format is asked for, the answer is in free words as often as it is the option. The harness's
standard prompt is not part of the mixture.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from audio_eval.tasks.synth_aqa.items import draw_choices
from audio_eval.tasks.synth_aqa.questions import KINDS, SEEN

TAGGED = (
    "count", "source", "first_sound", "loudness", "direction", "instrument", "tempo", "texture", "vowel", "syllables",
    "intonation",
)  # fmt: skip
LETTERS = "ABCDEF"


class Turn(NamedTuple):
    """A prompt about a clip, and the answer to it."""

    prompt: str
    answer: str


def _listing(rng: random.Random, choices: tuple[str, ...]) -> str:
    """The options in one of five common layouts, without letters."""
    layout = rng.randrange(5)
    if layout == 0:
        return "Options: " + ", ".join(choices) + "."
    if layout == 1:
        return "Choose from: " + ", ".join(choices[:-1]) + " or " + choices[-1] + "."
    if layout == 2:
        return "\n" + "\n".join(f"- {choice}" for choice in choices)
    if layout == 3:
        return f"Pick one of {list(choices)}."
    return f"Select one option from the provided choices. {list(choices)}."


TAG_WORDINGS = (
    "Put your answer in <answer> </answer>.",
    "Write the answer between <answer> and </answer>.",
    "Reply in the form <answer>choice</answer>.",
    "Give the final answer inside <answer> </answer> tags.",
)
LETTER_WORDINGS = ("Answer with the letter.", "Reply with the option's letter only.", "Which letter is right?")
TEXT_WORDINGS = ("Answer with the option.", "Give only the answer.", "Output the option and nothing else.")


def _letters(rng: random.Random, question: str, choices: tuple[str, ...], answer: str) -> Turn:
    mark = rng.choice(("{}. {}", "({}) {}"))
    joint = rng.choice(("\n", " "))
    lines = joint.join(mark.format(LETTERS[i], choice) for i, choice in enumerate(choices))
    return Turn(f"{question}{joint}{lines}\n{rng.choice(LETTER_WORDINGS)}", LETTERS[choices.index(answer)])


def caption(rng: random.Random, facts: dict[str, str]) -> Turn:
    """A dense caption: all facts about the clip, in a fixed order of topics."""
    listed = ", ".join(f"{kind.replace('_', ' ')} {facts[kind]}" for kind in KINDS if kind in facts)
    return Turn(rng.choice(("Describe the audio.", "What is in this clip?", "Describe what you hear.")), listed + ".")


def draw_turn(rng: random.Random, facts: dict[str, str], rare_tags: float = 0.0) -> Turn:
    """One random question about a clip with these ``facts``, and its answer.

    ``rare_tags``: for kinds outside ``TAGGED``, the share of questions asking for tags whose answer has them.
    """
    form = rng.choices(("open", "letter", "text", "free", "tagged"), weights=(16, 18, 22, 16, 28))[0]
    kind = rng.choice(sorted(facts))
    question, answer = rng.choice(KINDS[kind].phrasings[:SEEN]), facts[kind]
    spoken = KINDS[kind].spoken[answer]
    if form == "open":
        return Turn(question, spoken if rng.random() < 0.7 else f"{answer}.")
    choices = draw_choices(rng, kind, answer)
    if form == "letter":
        return _letters(rng, question, choices, answer)
    listing = _listing(rng, choices)
    if form == "text":
        return Turn(f"{question} {listing} {rng.choice(TEXT_WORDINGS)}", answer)
    own_words = spoken if rng.random() < 0.6 else answer
    if form == "free" or (kind not in TAGGED and not rare_tags):
        return Turn(f"{question} {listing}", own_words)
    tagged = kind in TAGGED or rng.random() < rare_tags
    return Turn(
        f"{question} {listing} {rng.choice(TAG_WORDINGS)}", f"<answer>{answer}</answer>" if tagged else own_words
    )


def draw_turns(rng: random.Random, facts: dict[str, str], n: int, rare_tags: float = 0.0) -> list[Turn]:
    """The turns of one clip in a step: its caption and ``n - 1`` questions."""
    return [caption(rng, facts), *(draw_turn(rng, facts, rare_tags) for _ in range(n - 1))]
