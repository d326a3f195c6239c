"""MMAR's official metadata as records (ddlBoJack/MMAR at 3bce090)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..common import Record, Row, build, record

if TYPE_CHECKING:
    import datasets

GROUPS = ("modality", "category", "sub-category")


def build_test(data_dir: str | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The 1000 items from ``data_dir/mmar/MMAR-meta.jsonl``; ``UserError`` names broken rows."""
    return build(data_dir, "mmar", "MMAR-meta.jsonl", "audio", _record)


def _record(row: Row) -> Record:
    """``thinking``, ``cue`` and ``rubric`` are left out: they give the answer away."""
    return record(
        id=row.text("id"),
        path=row.audio("audio_path"),
        question=row.text("question"),
        choices=row.choices(),
        answer=row.text("answer"),
        groups={name: row.label(name) for name in GROUPS},
        meta=row.keep("audio_path", "language", "source", "timestamp"),
    )
