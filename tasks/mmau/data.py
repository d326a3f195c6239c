"""MMAU's official files as records, and the filled-in file that its evaluation takes (Sakshi113/MMAU at 110127f)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from audio_eval.errors import UserError
from audio_eval.scoring import answer_text

from ..common import Record, Row, build, read_rows, record

if TYPE_CHECKING:
    import datasets

FOLDER = "mmau"
GROUPS = ("task", "difficulty", "sub-category")


def build_test_mini(data_dir: str | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """test-mini, 1000 items with answers, from ``data_dir/mmau/mmau-test-mini.json``."""
    return build(
        data_dir, FOLDER, "mmau-test-mini.json", "test-mini-audios", lambda row: _record(row, row.text("answer"))
    )


def build_test(data_dir: str | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """test, 9000 items whose answers are withheld, from ``data_dir/mmau/mmau-test.json``."""
    return build(data_dir, FOLDER, "mmau-test.json", "test-audios", lambda row: _record(row, row.text("answer", "")))


def _record(row: Row, answer: str) -> Record:
    return record(
        id=row.text("id"),
        path=row.audio("audio_id"),
        question=row.text("question"),
        choices=row.choices(),
        answer=answer,
        groups={name: row.label(name) for name in GROUPS},
        meta={"category": row.label("category"), **row.keep("audio_id", "dataset", "split")},
    )


def submission(data_dir: str, responses: dict[str, str]) -> list[dict[str, Any]]:
    """Test's official file filled in, as MMAU's evaluation space takes it."""
    return fill_in(Path(data_dir) / FOLDER / "mmau-test.json", responses)


def fill_in(metadata_path: Path, responses: dict[str, str]) -> list[dict[str, Any]]:
    """The official records, in their order, with what the model answered (the last <answer> pair, else all of it).

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
