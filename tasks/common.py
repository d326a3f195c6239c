"""Functions for lm-eval that the tasks here share."""

from __future__ import annotations

from functools import lru_cache

from audio_eval import prompts
from audio_eval.audio import AudioError, AudioRef
from audio_eval.data import Record
from audio_eval.scoring import parse_choice, score

PLAIN, TAGGED_OPEN = "plain", "r1_aqa_open"


@lru_cache
def _prompt(name: str) -> prompts.PromptTemplate:
    return prompts.find(name)


def doc_to_text(doc: Record) -> str:
    """lm-eval's prompt, by the standard template."""
    return _prompt(prompts.DEFAULT).render(doc["question"], doc["choices"])


def doc_to_open_text(doc: Record) -> str:
    """lm-eval's prompt for a question without options."""
    return _prompt(prompts.OPEN).render(doc["question"], [])


def doc_to_tagged_open_text(doc: Record) -> str:
    """lm-eval's prompt for a question without options, which asks for <answer> tags."""
    return _prompt(TAGGED_OPEN).render(doc["question"], [])


def doc_to_plain_text(doc: Record) -> str:
    """lm-eval's prompt for an instruction: the instruction itself."""
    return _prompt(PLAIN).render(doc["question"], [])


def doc_to_audio(doc: Record) -> list[dict[str, str]]:
    """lm-eval's audio, as references: its cache of responses cannot take arrays.

    They always have the sha256 of the recording, so that no response is taken for another one; "" if it cannot be read.
    """
    clips = (doc["audio"], *doc["more_audio"])
    return [{"path": clip["path"], "sha256": clip["sha256"] or _digest(clip["path"])} for clip in clips]


def _digest(path: str) -> str:
    try:
        return AudioRef(path=path).digest() if path else ""
    except AudioError:
        return ""


def process_results(doc: Record, results: list[str]) -> dict[str, int]:
    """lm-eval's metrics of one item by the ``choice`` rule: ``acc`` and ``unparsable``, 0 or 1."""
    verdict = score("choice", results[0], doc["choices"], doc["answer"])
    return {"acc": int(verdict.outcome == "correct"), "unparsable": int(verdict.choice is None)}


def process_results_hidden(doc: Record, results: list[str]) -> dict[str, int]:
    """lm-eval's metrics of one item whose answer is not published: only ``unparsable``."""
    return {"unparsable": int(parse_choice(results[0], doc["choices"]) is None)}


def process_results_open(doc: Record, results: list[str]) -> dict[str, float]:
    """lm-eval's metrics of one open-ended item: ``contains_em``, ``bleu`` and ``rouge_l``, 0 to 1."""
    from audio_eval.scoring.open_ended import measure

    measures = measure(results[0], doc["answer"])
    return {"contains_em": float(measures.contains), "bleu": measures.bleu, "rouge_l": measures.rouge_l}


def process_results_words(doc: Record, results: list[str]) -> dict[str, int]:
    """The number of words, for prompts without an answer: lm-eval needs a metric for every task."""
    return {"words": len(results[0].split())}
