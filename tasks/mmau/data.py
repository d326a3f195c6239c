"""MMAU's official files and hub mirrors as records, and the filled-in file that its evaluation reads.

Official: Sakshi113/MMAU at 110127f.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from audio_eval.data import (
    OFFICIAL,
    Convert,
    Files,
    HubRows,
    Record,
    SourceRow,
    Sources,
    opened,
    read_rows,
    record,
    unlettered,
)
from audio_eval.errors import UserError
from audio_eval.scoring import answer_text

FOLDER = "mmau"
GROUPS = ("task", "difficulty", "sub-category")


def _convert(withheld: bool = False, mirror: Callable[[SourceRow], None] | None = None) -> Convert:
    """A converter of rows. ``mirror`` gives the fields of a mirror their official names."""

    def converted(row: SourceRow) -> Record:
        if mirror:
            mirror(row)
        choices, answer = row.choices(), row.text("answer", "" if withheld else None)
        if mirror:
            choices, answer = unlettered(choices, answer)
        return record(
            id=row.text("id"),
            **row.audio("audio_id"),
            question=row.text("question"),
            choices=choices,
            answer=answer,
            groups={name: row.label(name) for name in GROUPS},
            meta={"category": row.label("category"), **row.keep("dataset", "split")},
        )

    return converted


def _attributes(row: SourceRow) -> None:
    """gamma-lab-umd and AudioLLMs: the question is ``instruction``, the recording ``context``, and the rest one field.

    ``other_attributes`` is a JSON string in the former, an object in the latter (AudioLLMs/AudioBench at 67c8453,
    src/dataset_src/mmau_mini.py), whose inner names are [inferred] from the former. Options are "(A) text" there.
    """
    row.rename(instruction="question", context="audio_id")
    row.unpack("other_attributes")


def _columns(row: SourceRow) -> None:
    """lmms-lab and TwinkStart: the official fields with an audio column.

    lmms-lab's choices are a JSON string (lmms-eval at a74c71f, tasks/mmau/utils.py; it calls the data set
    lmms-lab-audio/mmau by now). TwinkStart has ``audio``, ``question``, ``choices`` and ``answer`` (NVIDIA-NeMo/RL,
    eval_datasets/mmau.py); its other names are [inferred], "sub_category" among them.
    """
    row.values["audio_id"] = row.values.pop("audio")
    row.rename(sub_category="sub-category")


def _rows(repo: str, split: str, mirror: Callable[[SourceRow], None], withheld: bool = False) -> HubRows:
    return HubRows(repo, split, _convert(withheld, mirror), audio="context" if mirror is _attributes else "audio")


TEST_MINI = Sources(
    {
        OFFICIAL: Files(FOLDER, "mmau-test-mini.json", "test-mini-audios", _convert()),
        "gamma-lab-umd/MMAU-test-mini": _rows("gamma-lab-umd/MMAU-test-mini", "test", _attributes),
        "lmms-lab/mmau": _rows("lmms-lab/mmau", "test_mini", _columns),
        "TwinkStart/MMAU": _rows("TwinkStart/MMAU", "v05.15.25", _columns),
    }
)
OPEN = opened(TEST_MINI)
# The benchmark before v05.15.25: a quarter of its questions and some recordings differ.
TEST_MINI_ORIGINAL = Sources(
    {
        OFFICIAL: Files("mmau_original", "mmau-test-mini.json", "test-mini-audios", _convert()),
        "AudioLLMs/MMAU-mini": _rows("AudioLLMs/MMAU-mini", "test", _attributes),
    }
)
TEST = Sources(
    {
        OFFICIAL: Files(FOLDER, "mmau-test.json", "test-audios", _convert(withheld=True)),
        "gamma-lab-umd/MMAU-test": _rows("gamma-lab-umd/MMAU-test", "test", _attributes, withheld=True),
        "lmms-lab/mmau": _rows("lmms-lab/mmau", "test", _columns, withheld=True),
    }
)


def submission(data_dir: str, responses: dict[str, str]) -> list[dict[str, Any]]:
    """The official file of the test split, filled in for MMAU's evaluation space."""
    return fill_in(Path(data_dir) / FOLDER / "mmau-test.json", responses)


def fill_in(metadata_path: Path, responses: dict[str, str]) -> list[dict[str, Any]]:
    """The official records, in their order, with the model's answers (the last <answer> pair, else the whole response).

    The evaluation script reads ``model_output``, its README asks for ``model_prediction``: both are written. An item
    without a response gets "", which counts as wrong (without the key the script would drop it from the denominator).
    ``UserError`` for a response to an item that the file does not have.
    """
    rows = [dict(row) for _, row in read_rows(metadata_path)]
    stray = sorted(set(responses) - {row["id"] for row in rows})
    if stray:
        raise UserError(f"{metadata_path} has no item {', '.join(stray[:5])}: the responses are of another file.")
    for row in rows:
        row["model_output"] = row["model_prediction"] = answer_text(responses.get(row["id"], ""))
    return rows
