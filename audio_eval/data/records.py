"""The record schema of all tasks, and rows of a source that are to become records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from datasets import Features, Json, Value

from audio_eval.audio import AudioError, audio_dirs, resolve_under
from audio_eval.data.letters import lettered_gold
from audio_eval.errors import UserError
from audio_eval.json_text import BadJson, parse

# Explicit, because pyarrow would guess the types from the first rows.
FEATURES = Features(
    {
        "id": Value("string"),
        "audio": {"path": Value("string"), "sha256": Value("string")},
        "more_audio": [{"path": Value("string"), "sha256": Value("string")}],
        "question": Value("string"),
        "choices": [Value("string")],
        "answer": Value("string"),
        "groups": Json(),
        "meta": Json(),
    }
)

Record = dict[str, Any]
# A field or an option of a million characters hangs a tokenizer, and options beyond ZZ have no letter of two.
MAX_CHARACTERS = 100_000
MAX_OPTIONS = 702
MAX_RECORDINGS = 100


class ClipRef(TypedDict):
    """The recording of a record. An empty ``path`` means there is none, an empty ``sha256`` that it is unknown."""

    path: str
    sha256: str


class Clips(ClipRef, total=False):
    """The recordings of a record: the first one and, where there are several, those after it."""

    more: list[ClipRef]


class Stored(NamedTuple):
    """A recording that a hub reader put into the cache. No row of a file can hold one, whatever objects it holds."""

    path: str
    sha256: str


class Place(NamedTuple):
    """Where a row is: "line 3", "item 3", "row 3", counted from 1; with the file's name if there are several files."""

    kind: str
    number: int
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file} {self.kind} {self.number}".strip()


def record(
    *,
    id: str,
    question: str,
    choices: Sequence[str] = (),
    answer: str = "",
    groups: Mapping[str, str] | None = None,
    path: str = "",
    sha256: str = "",
    more: Sequence[ClipRef] = (),
    meta: Mapping[str, Any] | None = None,
) -> Record:
    """One item. Without ``choices`` it is open-ended, without ``answer`` hidden, without ``path`` text only.

    ``more`` are the recordings after the first one.
    """
    return {
        "id": id,
        "audio": {"path": path, "sha256": sha256},
        "more_audio": [dict(clip) for clip in more],
        "question": question,
        "choices": list(choices),
        "answer": answer,
        "groups": dict(groups or {}),
        "meta": dict(meta or {}),
    }


def slots(doc: Record) -> list[str | None]:
    """The options with their null slots (MMSU has four slots and fills two to four), else just the options."""
    return doc["meta"].get("slots") or list(doc["choices"])


def check_places(docs: Iterable[Record], folders: Sequence[str], where: str) -> None:
    """``UserError`` for records as they stand in a data file, if one names a recording outside of these folders."""
    for doc in docs:
        for clip in (doc["audio"], *(doc.get("more_audio") or ())):
            path = os.path.abspath(clip["path"] or ".")
            if clip["path"] and not any(_lies_in(folder, path) for folder in (*folders, *audio_dirs())):
                raise UserError(
                    f"item '{doc['id']}'{where} names a recording outside of the data's folders, {path}: put it below "
                    f"--data-dir, or allow its folder: AUDIO_EVAL_AUDIO_DIRS={os.path.dirname(path)}."
                )


def check_fields(docs: Sequence[Record], groups: Iterable[str], where: str) -> None:
    """``UserError`` for records without one of the fields, or of more ``groups`` than the result of a run can hold."""
    if absent := sorted(FEATURES.keys() - docs[0].keys()):
        raise UserError(f"items{where} have no {', '.join(absent)}: make them with audio_eval.data.record.")
    labels = {(key, str(label)) for doc in docs for key in groups if (label := doc["groups"].get(key)) is not None}
    if sum(len(key) + len(label) + 150 for key, label in labels) > MAX_CHARACTERS:
        raise UserError(
            f"items{where} have {len(labels)} different labels in {', '.join(groups)}, more or longer ones than a "
            "table can show: put the same few there, or take the field out of the task's groups."
        )


def _lies_in(folder: str, path: str) -> bool:
    try:
        return bool(resolve_under(Path(folder), path))
    except AudioError:
        return False


class SourceRow:
    """A row of a source. It notes what is wrong with it instead of raising, so that all problems are reported at once.

    ``root`` is the folder that audio paths are relative to. ``counts`` is shared by all rows of a source.
    """

    def __init__(self, where: Place, values: Any, root: Path, counts: Counter[tuple[str, str]] | None = None) -> None:
        self.where, self.root, self.problems = where, root, list[str]()
        self._found: set[str] = set()
        self.values: dict[str, Any] = dict(values) if isinstance(values, dict) else {}
        self._counts: Counter[tuple[str, str]] = Counter() if counts is None else counts
        if not isinstance(values, dict):
            self.problems.append("is not a JSON object" + (f": {values}" if isinstance(values, BadJson) else ""))

    def text(self, key: str, default: str | None = None) -> str:
        """A string that is not empty; ``default``, if given, where the field is missing, null or empty."""
        value = self.values.get(key)
        if isinstance(value, str) and (bad := _unusable(value)):
            return self.problem(f"'{key}' {bad}")
        if isinstance(value, str) and value.strip():
            return value
        if default is not None and (value is None or isinstance(value, str)):
            return default
        return self.problem(f"'{key}' is {'missing' if value is None else f'{value!r:.60}, not a text'}")

    def label(self, key: str) -> str:
        """A group label; a list of labels (in 13 rows of MMAU's ``category``) is joined."""
        value = self.values.get(key)
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            if len(label := ", ".join(value)) > MAX_CHARACTERS:
                return self.problem(f"'{key}' holds {len(value)} labels of {len(label)} characters")
            return label
        return self.text(key)

    def choices(self, key: str = "choices") -> list[str]:
        """A list of strings, at least two of them not empty (four rows of MMAR have an empty one).

        Some mirrors store the list as a JSON string.
        """
        value = self.values.get(key)
        if isinstance(value, str):
            try:
                value = parse(value)
            except BadJson:
                self.problem(f"'{key}' is {value[:40]!r}, neither a list nor JSON")
                return []
        if not isinstance(value, list) or not all(isinstance(choice, str) for choice in value):
            self.problem(f"'{key}' is not a list of texts")
            return []
        if len(value) > MAX_OPTIONS:
            self.problem(f"'{key}' holds {len(value)} options, more than {MAX_OPTIONS} (A to ZZ)")
            return []
        if bad := _unusable("".join(value)):
            self.problem(f"'{key}' {bad}")
            return []
        if sum(bool(choice.strip()) for choice in value) < 2:
            self.problem(f"'{key}' holds fewer than two options")
        return value

    def letter(self, key: str, slots: Sequence[str | None]) -> str:
        """The text of the slot that a letter field names."""
        given = self.text(key)
        gold = lettered_gold(given, slots) if given and slots else ""
        return self.problem(f"'{key}' is {given!r:.60}, the letter of no option") if gold is None else gold

    def audio(self, key: str) -> Clips:
        """The recording: a path below ``root``, or what a hub reader put there. Whether it exists is not checked here.

        A path with a leading slash ("/audio/x.wav" in MMSU) is below ``root`` too. A list holds several recordings
        (MMAU-Pro), in the order in which they are heard.
        """
        value = self.values.get(key)
        if isinstance(value, Stored):
            self._found.add(value.path)
            return {"path": value.path, "sha256": value.sha256}
        if isinstance(value, list):
            if not value or not all(isinstance(path, str) and path.strip() for path in value):
                return {"path": self.problem(f"'{key}' is {value!r:.60}, not a list of paths"), "sha256": ""}
            if len(value) > MAX_RECORDINGS:
                text = f"'{key}' holds {len(value)} recordings, more than {MAX_RECORDINGS}"
                return {"path": self.problem(text), "sha256": ""}
            first, *more = (self._below(key, path) for path in value)
            return {**first, "more": more} if more else {**first}
        return {**self._below(key, self.text(key))}

    def _below(self, key: str, path: str) -> ClipRef:
        relative = path.lstrip("/")
        try:
            found = str(resolve_under(self.root, relative)) if relative else ""
        except AudioError as error:
            return {"path": self.problem(f"'{key}': {error}"), "sha256": ""}
        self._found.add(found)
        return {"path": found, "sha256": ""}

    def confine(self, item: Record) -> None:
        """Note recordings of a record that lie elsewhere than below ``root``, wherever the converter has them from."""
        for clip in (item["audio"], *item["more_audio"]):
            if clip["path"] and clip["path"] not in self._found:
                try:
                    resolve_under(self.root, clip["path"])
                except AudioError as error:
                    self.problem(str(error))

    def nth(self, key: str) -> int:
        """The row's number, from 1, among the rows with the same value of a field."""
        self._counts[key, str(self.values.get(key))] += 1
        return self._counts[key, str(self.values.get(key))]

    def keep(self, *keys: str) -> dict[str, Any]:
        """Those of these fields that the row has, for ``meta``."""
        return {key: self.values[key] for key in keys if key in self.values}

    def rename(self, **official: str) -> None:
        """Give a mirror's fields their official names: ``rename(instruction="question")``."""
        for theirs, name in official.items():
            if theirs in self.values:
                self.values.setdefault(name, self.values.pop(theirs))

    def unpack(self, key: str) -> None:
        """Add the fields of an object, or of an object in a JSON string, to the row's own, which take precedence."""
        value = self.values.get(key)
        try:
            inner = parse(value) if isinstance(value, str) else value
        except BadJson:
            inner = None
        if isinstance(inner, dict):
            self.values = {**inner, **self.values}
        else:
            self.problem(f"'{key}' is neither an object nor one in JSON")

    def problem(self, text: str) -> str:
        """Note what is wrong; returns "" to stand for the value."""
        self.problems.append(text)
        return ""


def _unusable(text: str) -> str | None:
    """Why a text can be no part of a prompt; None where it can."""
    if len(text) > MAX_CHARACTERS:
        return f"has {len(text)} characters, more than {MAX_CHARACTERS}"
    return "holds a NUL character" if "\0" in text else None
