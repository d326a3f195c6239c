"""The benchmarks' own rules, reproduced exactly, with their oddities.

They read the text as it is: callers whose responses have <answer> tags pass ``answer_text(response)``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from audio_eval.scoring.verdict import Verdict

_WORD = re.compile(r"\b\w+\b")
_FIRST_LETTER = re.compile(r"\s*([A-D])", re.IGNORECASE)


@lru_cache(maxsize=4096)  # a choice is asked for again within its item, and by other items with the same choices
def _tokens(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


def string_match(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """MMAU's and MMAR's rule on *sets* of words (Sakshi113/MMAU evaluation.py at 110127f; ddlBoJack/MMAR at 3bce090).

    Correct iff every word of the answer occurs and no word that only other choices have. Order, repetition and
    punctuation do not count, so a permuted wrong choice can pass, and a letter in front ("A. text") can fail. A choice
    is reported only for a correct response: otherwise the rule names none.
    """
    given, gold = frozenset(_WORD.findall(response.lower())), _tokens(answer)
    if not given:
        return Verdict("wrong", None, "no words")
    if not gold <= given:
        return Verdict("wrong", None, "a word of the answer is missing")
    for choice in choices:
        tokens = _tokens(choice or "")
        if tokens != gold and not given.isdisjoint(tokens - gold):
            return Verdict("wrong", None, "has a word of another choice")
    index = next((place for place, choice in enumerate(choices) if choice == answer), None)
    return Verdict("correct", index, "words match")


def mmsu_letter(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """MMSU's rule (dingdongwang/MMSU mmsu_evaluation.py at 217d1d3) on the slots a to d, None where one is null.

    The first character, else the last but one, if it is A to D ("Because" is B, "The answer is C." is C). Neither:
    excluded from the official denominator. An empty response or "None" is wrong and counted.
    """
    text = response.strip().replace("\n", "")
    if not text or text == "None":
        return Verdict("wrong", None, "empty")
    if text[0] in "ABCD":
        letter = text[0]
    elif len(text) > 1 and text[-2] in "ABCD":
        letter = text[-2]
    else:
        return Verdict("excluded", None, "wrong format")
    index = "ABCD".index(letter)
    if index >= len(choices) or choices[index] is None:
        return Verdict("wrong", None, f"slot {letter} is empty")
    return Verdict("correct" if choices[index] == answer else "wrong", index, f"letter {letter}")


def daily_omni_local(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """Daily-Omni's rule for local models (Lliar-liar/Daily-Omni at fccb838, test_model/Qwen2.5-Omni/testmodel.py).

    It reads what follows the first "assistant", if the word occurs. The first character counts if it is A to D in
    either case ("a man" is A, "Because" is B, and "B: a voice assistant" is nothing); else the whole text is compared
    with the gold letter. Nothing is excluded.
    """
    before, found, after = response.partition("assistant")
    text = (after if found else before).strip()
    first = _FIRST_LETTER.match(text)
    letter = first[1].upper() if first else text.upper()
    return _daily_omni(letter == _gold_letter(choices, answer), letter, choices)


def daily_omni_api(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """Daily-Omni's rule for models behind an API (Lliar-liar/Daily-Omni at fccb838, test_model_api/test_utils.py).

    Correct iff the response begins with the gold letter in either case; nothing is cut at "assistant". The original
    excludes failed calls, which never become responses here.
    """
    text = response.strip().upper()
    gold = _gold_letter(choices, answer)
    return _daily_omni(bool(gold) and text.startswith(gold), text[:1], choices)


def _gold_letter(choices: tuple[str | None, ...], answer: str) -> str:
    """The gold letter, from the answer's place among the choices (Daily-Omni's file has the letter itself)."""
    return chr(ord("A") + choices.index(answer)) if answer in choices else ""


def _daily_omni(correct: bool, letter: str, choices: tuple[str | None, ...]) -> Verdict:
    index = ord(letter) - ord("A") if len(letter) == 1 and "A" <= letter <= "Z" else len(choices)
    if index >= len(choices):
        return Verdict("wrong", None, "no letter of a choice")
    return Verdict("correct" if correct else "wrong", index, f"letter {letter}")
