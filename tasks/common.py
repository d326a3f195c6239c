"""What every audio QA task shares: one record schema, the checks on official files, and lm-eval's hooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value

from audio_eval import prompts
from audio_eval.audio import AudioError, resolve_under
from audio_eval.errors import UserError
from audio_eval.scoring import parse_choice, score

PROMPT = "r1_aqa"
# All broken rows are found in one go; a file of another kind would otherwise print thousands of them.
SHOWN = 50
# Explicit, as pyarrow would guess types from the values of the first rows.
FEATURES = Features(
    {
        "id": Value("string"),
        "audio": {"path": Value("string"), "sha256": Value("string")},
        "question": Value("string"),
        "choices": [Value("string")],
        "answer": Value("string"),
        "groups": Value("string"),
        "meta": Value("string"),
    }
)

Record = dict[str, Any]


def record(
    *,
    id: str,
    path: str,
    question: str,
    choices: Sequence[str],
    answer: str,
    groups: Mapping[str, str],
    meta: Mapping[str, Any] | None = None,
    sha256: str = "",
) -> Record:
    """One item in the schema of every task. ``answer`` is "" where it is hidden, ``sha256`` where it is not known.

    Groups and meta become JSON strings: their keys differ between tasks, and a data set has one schema.
    """
    return {
        "id": id,
        "audio": {"path": path, "sha256": sha256},
        "question": question,
        "choices": list(choices),
        "answer": answer,
        "groups": json.dumps(dict(groups), ensure_ascii=False),
        "meta": json.dumps(dict(meta or {}), ensure_ascii=False),
    }


class Row:
    """A row of an official file that notes what is wrong with it instead of raising: all is reported at once."""

    def __init__(self, where: str, values: Any, root: Path) -> None:
        self.where, self.root, self.problems = where, root, list[str]()
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not isinstance(values, dict):
            self.problems.append("is not a JSON object")

    def text(self, key: str, default: str | None = None) -> str:
        """A string field, not empty; ``default`` (if any) where it is missing, null or empty."""
        value = self.values.get(key)
        if isinstance(value, str) and value.strip():
            return value
        if default is not None and (value is None or isinstance(value, str)):
            return default
        return self._problem(f"'{key}' is {'missing' if value is None else f'{value!r}, not a text'}")

    def label(self, key: str) -> str:
        """A group label; a list of labels (13 rows of MMAU's ``category``) is joined."""
        value = self.values.get(key)
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            return ", ".join(value)
        return self.text(key)

    def choices(self, key: str = "choices") -> list[str]:
        """A list of strings with at least two that are not empty (MMAR has an empty one in five rows)."""
        value = self.values.get(key)
        if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
            self._problem(f"'{key}' is not a list of texts")
            return []
        if sum(bool(choice.strip()) for choice in value) < 2:
            self._problem(f"'{key}' holds fewer than two options")
        return value

    def audio(self, key: str) -> str:
        """A path below the benchmark's folder, absolute. That the file exists is found when it is loaded.

        A leading slash ("/audio/x.wav" in MMSU) means that folder too.
        """
        relative = self.text(key).lstrip("/")
        try:
            return str(resolve_under(self.root, relative)) if relative else ""
        except AudioError as error:
            return self._problem(f"'{key}': {error}")

    def keep(self, *keys: str) -> dict[str, Any]:
        """The fields that are there, for ``meta``."""
        return {key: self.values[key] for key in keys if key in self.values}

    def _problem(self, text: str) -> str:
        self.problems.append(text)
        return ""


def build(
    data_dir: str | None, folder: str, file: str, audio_folder: str, convert: Callable[[Row], Record]
) -> dict[str, Dataset]:
    """The ``test`` split from ``data_dir/folder/file`` (.json or .jsonl), each row by ``convert``.

    ``UserError`` where the file is missing, and for all rows that break the schema or share an id, in one message.
    """
    layout = f"D/{folder}/{file} and D/{folder}/{audio_folder}/"
    if not data_dir:
        raise UserError(f"this task reads recordings of yours: pass --data-dir D, a folder that holds {layout}.")
    path = Path(data_dir) / folder / file
    records, problems, seen = [], [], dict[str, str]()
    for where, values in read_rows(path, layout):
        row = Row(where, values, path.parent)
        item = convert(row)
        if item["id"] in seen and not row.problems:
            row.problems.append(f"has the id of {seen[item['id']]} ({item['id']!r})")
        seen.setdefault(item["id"], where)
        # What is no object lacks every field as well: saying so once is enough.
        said = row.problems if isinstance(values, dict) else row.problems[:1]
        problems += [f"{where}: {problem}" for problem in said]
        records.append(item)
    if not records:
        raise UserError(f"{path} holds no items; fetch the official file again.")
    if problems:
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{path}: {len(problems)} problems; mend or remove: {'; '.join(problems[:SHOWN])}{more}.")
    return {"test": Dataset.from_list(records, features=FEATURES)}


def read_rows(path: Path, layout: str = "") -> Iterator[tuple[str, Any]]:
    """Each row with its place: "line 3" of a .jsonl, "item 3" (from 1) of a .json list; else ``UserError``."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        hint = f"; --data-dir D must hold {layout}" if layout else ""
        raise UserError(f"no file {path}{hint}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    if path.suffix == ".jsonl":
        # Not splitlines(): it also splits at the U+2028 that a text may hold.
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        yield from ((f"line {number}", _line(line)) for number, line in lines)
        return
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not JSON: {error}; fetch the official file again.") from None
    if not isinstance(rows, list):
        raise UserError(f"{path} is not a JSON list of items; fetch the official file again.")
    yield from ((f"item {number}", row) for number, row in enumerate(rows, 1))


def _line(line: str) -> Any:
    """The row; where the line is no JSON, the line itself, which ``Row`` reports with the others."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return line


def doc_to_text(doc: Record) -> str:
    """lm-eval's prompt: the standard template."""
    return prompts.render(PROMPT, doc["question"], doc["choices"])


def doc_to_audio(doc: Record) -> list[dict[str, str]]:
    """lm-eval's audio: a reference, as arrays break its request cache."""
    return [dict(doc["audio"])]


def official_choices(doc: Record) -> list[str | None]:
    """What the benchmark's own rule takes as choices: MMSU's four slots with their nulls, elsewhere the options."""
    return json.loads(doc["meta"]).get("slots") or list(doc["choices"])


def process_results(doc: Record, results: list[str]) -> dict[str, int]:
    """lm-eval's metrics of one item by the ``choice`` rule: ``acc`` and ``unparsable``, 0 or 1."""
    verdict = score("choice", results[0], doc["choices"], doc["answer"])
    return {"acc": int(verdict.outcome == "correct"), "unparsable": int(verdict.choice is None)}


def process_results_hidden(doc: Record, results: list[str]) -> dict[str, int]:
    """The same where the answers are not published: only ``unparsable``."""
    return {"unparsable": int(parse_choice(results[0], doc["choices"]) is None)}
