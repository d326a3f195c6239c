"""AVQA's training items, or others in R1-AQA's format (xiaomi-research/r1-aqa at 9e582a2, src/dataset/dataset.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audio_eval.audio import AudioError, resolve_under
from audio_eval.data import OFFICIAL, Files, Loaded, Record, SourceRow, Sources, record
from audio_eval.errors import UserError

FOLDER, FILE = "avqa", "train.jsonl"


def _record(row: SourceRow) -> Record:
    """The questions were written for videos; R1-AQA asks them about the sound track, with "audio" for "video"."""
    choices = row.choices("multi_choice")
    return record(
        id=_id(row),
        path=_path(row),
        question=row.text("question_text").replace("video", "audio"),
        choices=choices,
        answer=_answer(row, choices),
        groups={"dataset_name": row.text("dataset_name", "AVQA")},
        meta={**row.keep("video_name", "question_relation", "question_type"), **_rationale(row)},
    )


def _id(row: SourceRow) -> str:
    """The id; AVQA's are numbers."""
    value = row.values.get("id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else row.text("id")


def _path(row: SourceRow) -> str:
    """A path relative to the file's folder, or an absolute one below it, as R1-AQA writes them."""
    given = row.text("audio_path")
    try:
        return str(resolve_under(row.root, given)) if given else ""
    except AudioError as error:
        return row.problem(f"'audio_path': {error}")


def _answer(row: SourceRow, choices: list[str]) -> str:
    """The text of the option with the given index, counted from 0."""
    index = row.values.get("answer")
    if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(choices):
        return choices[index]
    # without options no index is right, and the missing options are reported already
    return row.problem(f"'answer' is {index!r}, the index of no option (counted from 0)") if choices else ""


def _rationale(row: SourceRow) -> dict[str, Any]:
    """A chain of thought by segment, where somebody has added one."""
    value = row.values.get("rationale")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) and text.strip() for text in value.values()):
        row.problem("'rationale' is not an object of texts")
        return {}
    return {"rationale": value}


@dataclass(frozen=True)
class _OneFile:
    """``D/avqa/train.jsonl``, else the only .jsonl there: the name depends on who converted AVQA."""

    @property
    def layout(self) -> str:
        return f"D/{FOLDER}/{FILE} (or one .jsonl of another name) and the recordings that it names below D/{FOLDER}/"

    def held(self, data_dir: str) -> bool:
        return any((Path(data_dir) / FOLDER).glob("*.jsonl"))

    def read(self, data_dir: str | None) -> Loaded:
        return Files(FOLDER, _name(Path(data_dir) / FOLDER) if data_dir else FILE, "", _record).read(data_dir)


def _name(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.jsonl"))
    if len(names) > 1 and FILE not in names:
        raise UserError(f"{folder} holds several files ({', '.join(names)}): name the one to train on {FILE}.")
    return names[0] if len(names) == 1 else FILE


TRAIN = Sources({OFFICIAL: _OneFile()}, split="train")
