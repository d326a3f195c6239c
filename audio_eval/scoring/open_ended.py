"""Measures of open answers against the gold text: BLEU, ROUGE-L, "contains" and "exact". They compare words only."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

from audio_eval.scoring.extraction import TAG, tagged
from audio_eval.scoring.normal import SPACED, UNSPACED, normalise, plain
from audio_eval.scoring.thinking import spoken
from audio_eval.scoring.verdict import Verdict

_CJK = re.compile(f"[{UNSPACED}]")
# One character of an unspaced script, else a run of letters and digits. On ASCII these are rouge_score's own tokens.
_TOKEN = re.compile(rf"[{UNSPACED}]|(?:(?!_){SPACED})+")
# ROUGE-L takes the product of the two numbers of words; nltk's stemmer fails at a thousand "y" one after another.
_MOST_WORDS, _LONGEST = 3_000, 200


class Measures(NamedTuple):
    """One response against one answer. ``bleu`` and ``rouge_l`` are shares, 0..1."""

    bleu: float
    rouge_l: float
    contains: bool
    exact: bool


def final_answer(response: str) -> str:
    """The final answer of a response: the text in the last ``<answer>`` pair, else what follows the thinking; stripped.

    A tag without its partner counts as a line break. Thinking that was never closed (a truncated response) is no
    answer: the text is cut before it. Unlike ``extraction.stated`` this does not look for a box or an "Answer:"
    line, because an open answer is the whole text.
    """
    text = spoken(response)
    inside = tagged(text)
    return (TAG.sub("\n", text) if inside is None else inside).strip()


def measure(response: str, answer: str) -> Measures:
    """Compare the final answer of a response with the gold answer. Never raises on any text.

    LaTeX boxes and markdown are removed from both first (``normal.plain``).

    ``bleu``: sacrebleu's sentence BLEU with effective order (an answer may have fewer than four words), over 100;
    it is case-sensitive and smoothed, as sacrebleu's defaults are. ``rouge_l``: F1 of the longest common subsequence
    of stemmed words (rouge_score). ``contains`` and ``exact`` compare normal forms; an empty answer has neither.

    rouge_score's own tokenizer keeps only a-z and 0-9, so an answer in Chinese would score 0 against itself. Ours keeps
    every script, with one token per Han or kana character. For texts with such characters BLEU takes sacrebleu's "zh"
    tokenizer.
    """
    said, gold = plain(final_answer(response)), plain(answer)
    scorers = _bleu("zh" if _CJK.search(said + gold) else "13a"), _rouge()
    return Measures(
        bleu=min(scorers[0].sentence_score(said, [gold]).score / 100.0, 1.0),  # float noise: 100.00000000000004
        rouge_l=float(scorers[1].score(gold, said)["rougeL"].fmeasure),
        contains=_contains(said, gold),
        exact=bool(gold) and normalise(said) == normalise(gold),
    )


def contains_em(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """The rule "contains_em": correct iff the answer occurs in the response as whole words. Never raises on any text.

    It is lenient: a response that lists everything, or denies the answer ("not a dog"), is correct. Chinese and
    Japanese have no word boundaries, so there a longer word that contains the answer counts.
    """
    said = final_answer(response)
    if not said:
        return Verdict("wrong", None, "empty")
    if _contains(said, answer):
        return Verdict("correct", None, "contains the answer")
    return Verdict("wrong", None, "does not contain the answer")


def _contains(said: str, answer: str) -> bool:
    """Whether the text contains the answer as whole words: "cat" is not in "category", "5" not in "-5" and "5.5"."""
    gold = normalise(answer)
    if not gold:
        return False
    left = rf"(?<!{SPACED})" if re.match(SPACED, gold) else ""
    right = rf"(?!{SPACED})(?![#])" if re.match(SPACED, gold[-1]) else ""  # "C" is not in "C# minor"
    if gold[0].isdigit():
        left += r"(?<![-+])(?<!\d[.,:])"
    if gold[-1].isdigit():
        right += r"(?![.,:]\d)"
    return re.search(left + re.escape(gold) + right, normalise(said)) is not None


class _Tokenizer:
    """rouge_score's words for every script."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem

    def tokenize(self, text: str) -> list[str]:
        """The first lower-case words; those of more than three ASCII letters, and no more than a word has, are stemmed,
        as rouge_score does.
        """
        words = _TOKEN.findall(text.lower())[:_MOST_WORDS]
        return [self._stem(word) if 3 < len(word) <= _LONGEST and word.isascii() else word for word in words]


@lru_cache
def _bleu(tokenizer: str) -> Any:
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True, tokenize=tokenizer)


@lru_cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Tokenizer())
