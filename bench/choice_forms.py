r"""How well the ``choice`` rule and the benchmarks' own rules read each form of a response, on the real options.

    python bench/choice_forms.py --data-dir DIR

DIR has mmau/mmau-test-mini.json, mmau_original/mmau-test-mini.json and mmar/MMAR-meta.jsonl. Every option of every item
is written in every form and scored. "gold %" is the percentage of items whose gold option is scored correct in that
form. "passed" counts the wrong options that are scored correct; an option with the text of the gold one is not wrong.
"same" counts, apart from these, wrong options named by a letter that is the text of the gold one ("C" for the third of
"G", "D", "E", "C"): there the response equals the gold answer character for character.

The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from audio_eval.scoring import answer_text, normalise, score

FILES = {
    "mmau": "mmau/mmau-test-mini.json",
    "mmau_original": "mmau_original/mmau-test-mini.json",
    "mmar": "mmar/MMAR-meta.jsonl",
}
OFFICIAL = {"mmau": "mmau_official", "mmau_original": "mmau_official", "mmar": "mmar_official"}


class Item(NamedTuple):
    """The part of an item that scoring uses."""

    choices: tuple[str, ...]
    answer: str


class Said(NamedTuple):
    """The option that a response names, and its letter; ``others`` are the other options as (letter, text)."""

    text: str
    letter: str
    others: tuple[tuple[str, str], ...]


def _musing(said: Said) -> str:
    """Reasoning that names at most two other options, by text and by letter, but not as the answer."""
    lines = [f"Option {letter} ({text}) is possible at first." for letter, text in said.others[:2]]
    return " ".join(["Let me listen to the clip step by step.", *lines, "The end of the clip decides it."])


def _other(said: Said) -> str:
    return said.others[0][1] if said.others else "silence"


def _wide(text: str) -> str:
    """ASCII letters and brackets in their full-width forms."""
    return "".join(chr(ord(c) + 0xFEE0) if c.isalpha() or c in "()" else c for c in text)


FORMS: dict[str, Callable[[Said], str]] = {
    "text": lambda s: s.text,
    "text, upper case": lambda s: s.text.upper(),
    "text, lower case": lambda s: s.text.lower(),
    "text.": lambda s: f" {s.text}.\n",
    '"text"': lambda s: f'"{s.text}"',
    "**text**": lambda s: f"**{s.text}**",
    "text。": lambda s: f"{s.text}。",
    "A": lambda s: s.letter,
    "a": lambda s: s.letter.lower(),
    "'A'": lambda s: f"'{s.letter}'",
    "(A)": lambda s: f"({s.letter})",
    "full-width A": lambda s: _wide(s.letter),
    "A. text": lambda s: f"{s.letter}. {s.text}",
    "A) text": lambda s: f"{s.letter}) {s.text}",
    "A: text": lambda s: f"{s.letter}: {s.text}",
    "(A) text": lambda s: f"({s.letter}) {s.text}",
    "**A. text**": lambda s: f"**{s.letter}. {s.text}**",
    "full-width (A) text。": lambda s: f"{_wide(f'({s.letter})')} {s.text}。",
    "<answer>text</answer>": lambda s: f"<answer>{s.text}</answer>",
    "<answer>A</answer>": lambda s: f"<answer>{s.letter}</answer>",
    "<answer>A. text</answer>": lambda s: f"<answer>\n{s.letter}. {s.text}\n</answer>",
    "think, <answer>text</answer>": lambda s: f"<think>{_musing(s)}</think>\n<answer>{s.text}</answer>",
    "think, text": lambda s: f"<think>\n{_musing(s)}\n</think>\n\n{s.text}",
    "The answer is text.": lambda s: f"The answer is {s.text}.",
    "The correct answer is A.": lambda s: f"The correct answer is {s.letter}.",
    "The correct answer is: (A) text": lambda s: f"The correct answer is: ({s.letter}) {s.text}",
    "The answer is **A. text**.": lambda s: f"The answer is **{s.letter}. {s.text}**.",
    "Answer: A": lambda s: f"Answer: {s.letter}",
    "**Answer:** A. text": lambda s: f"**Answer:** {s.letter}. {s.text}",
    "reasoning, Answer: A": lambda s: f"{_musing(s)}\n\nAnswer: {s.letter}",
    "reasoning, Final answer: text": lambda s: f"{_musing(s)}\n\n**Final answer:** {s.text}",
    "A because ... not other": lambda s: f"{s.letter} because I hear no trace of {_other(s)}.",
    "A, Explanation": lambda s: f"{s.letter}\n\nExplanation: {_musing(s)}",
    "A. text because ...": lambda s: f"{s.letter}. {s.text} because that is what the clip holds.",
    "A. text because ... not other": lambda s: f"{s.letter}. {s.text}, because I hear no trace of {_other(s)}.",
    "A) text, Explanation": lambda s: f"{s.letter}) {s.text}\n\nExplanation: {_musing(s)}",
    '{"answer": "A"}': lambda s: json.dumps({"answer": s.letter}),
    '{"answer": "text"}': lambda s: json.dumps({"answer": s.text}),
    "JSON with reasoning": lambda s: (
        f"```json\n{json.dumps({'reasoning': _musing(s), 'answer': s.letter}, indent=2)}\n```"
    ),
    r"\boxed{A}": lambda s: rf"\boxed{{{s.letter}}}",
    r"\boxed{text}": lambda s: rf"$\boxed{{\text{{{s.text}}}}}$",
    r"\boxed{A. text}": lambda s: rf"\boxed{{{s.letter}. {s.text}}}",
    r"reasoning, \boxed{A}": lambda s: f"{_musing(s)}\n\n\\boxed{{{s.letter}}}",
    r"reasoning, sentence with \boxed{A}": lambda s: (
        f"{_musing(s)} Therefore, the final answer is $\\boxed{{\\text{{{s.letter}}}}}$."
    ),
}


@dataclass
class Tally:
    """Verdicts on the responses of one form; ``missed`` has the items whose gold option was not scored correct."""

    items: int = 0
    right: int = 0
    wrong: int = 0
    passed: int = 0
    same: int = 0
    missed: list[Item] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Percent of items whose gold option was scored correct."""
        return 100.0 * self.right / self.items if self.items else 0.0

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for name in ("items", "right", "wrong", "passed", "same"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def said(choices: Sequence[str]) -> Iterator[Said]:
    """Every option of an item, with its letter; options without a text are left out."""
    lettered = [(string.ascii_uppercase[i], choice) for i, choice in enumerate(choices) if choice.strip()]
    for letter, text in lettered:
        others = tuple(pair for pair in lettered if normalise(pair[1]) != normalise(text))
        yield Said(text, letter, others)


def tally(items: Iterable[Item], form: Callable[[Said], str], rule: str = "choice") -> Tally:
    """Write every option of every item in one form and score it by a rule, as ``scoring/scorers/choice.py`` does."""
    count = Tally()
    for item in items:
        gold, gold_was_said = normalise(item.answer), False
        for option in said(item.choices):
            response, is_gold = form(option), normalise(option.text) == gold
            if is_gold and gold_was_said:
                continue  # a duplicate
            given = response if rule == "choice" else answer_text(response)
            correct = score(rule, given, item.choices, item.answer).outcome == "correct"
            if is_gold:
                gold_was_said = True
                count.items += 1
                count.right += correct
                if not correct:
                    count.missed.append(item)
            elif option.letter.lower() == gold and form(option) == form(option._replace(text="")):
                count.same += 1
            else:
                count.wrong += 1
                count.passed += correct
    return count


def read_items(path: Path) -> list[Item]:
    """The items of a benchmark's official metadata file, JSON or JSON lines."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line.strip()] if path.suffix == ".jsonl" else []
    rows = [json.loads(line) for line in lines] or json.loads(text)
    return [Item(tuple(row["choices"]), row["answer"]) for row in rows]


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the official metadata")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N missed items per form")
    args = parser.parse_args()
    counts: dict[str, dict[str, dict[str, Tally]]] = {
        form: {name: {} for name in FILES} for form in [*FORMS, "all forms"]
    }
    for name, file in FILES.items():
        items = read_items(args.data_dir / file)
        for rule in ("choice", OFFICIAL[name]):
            counts["all forms"][name][rule] = total = Tally()
            for form, build in FORMS.items():
                counts[form][name][rule] = one = tally(items, build, rule)
                total.add(one)
                for item in one.missed[: args.show]:
                    print(f"{name}, {rule}, {form}: {item}")
    rows = [[form, *(cell for by_rule in row.values() for cell in _cells(by_rule))] for form, row in counts.items()]
    columns = ("choice: gold %", "passed", "same", "official: gold %", "passed")
    print(
        tabulate(rows, ["form", *(f"{name}\n{column}" for name in FILES for column in columns)], disable_numparse=True)
    )
    figures = {
        form: {name: {rule: _figures(one) for rule, one in by_rule.items()} for name, by_rule in row.items()}
        for form, row in counts.items()
    }
    print(
        json.dumps({"n_forms": len(FORMS), "overall": figures.pop("all forms"), "forms": figures}, ensure_ascii=False)
    )


def _cells(by_rule: Mapping[str, Tally]) -> list[str]:
    ours, theirs = by_rule.values()
    return [f"{ours.share:.1f}", str(ours.passed), str(ours.same), f"{theirs.share:.1f}", str(theirs.passed)]


def _figures(one: Tally) -> dict[str, float]:
    figures = asdict(one)
    del figures["missed"]
    return {**figures, "share": round(one.share, 2)}


if __name__ == "__main__":
    main()
