"""MMSU's official metadata as records (dingdongwang/MMSU at 217d1d3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..common import Record, Row, build, record

if TYPE_CHECKING:
    import datasets

SLOTS = ("choice_a", "choice_b", "choice_c", "choice_d")


def build_test(data_dir: str | None = None, **_: Any) -> dict[str, datasets.Dataset]:
    """The 5000 items from ``data_dir/mmsu/MMSU.jsonl``; ``UserError`` names broken rows."""
    return build(data_dir, "mmsu", "MMSU.jsonl", "audio", _record)


def _record(row: Row) -> Record:
    """Null slots are no options (the text "None" is one); ``meta.slots`` keeps all four for the official letter rule.

    The official table crosses category with sub-category, as "Linguistics" occurs under both categories. Task names
    are not checked: the paper's and the files' spellings differ.
    """
    slots = [row.text(slot) if row.values.get(slot) is not None else None for slot in SLOTS]
    row.values["choices"] = [slot for slot in slots if slot is not None]
    category, sub_category = row.text("category"), row.text("sub-category")
    return record(
        id=row.text("id"),
        path=row.audio("audio_path"),
        question=row.text("question"),
        choices=row.choices(),
        answer=row.text("answer_gt"),
        groups={
            "category": category,
            "category/sub-category": f"{category}/{sub_category}",
            "task_name": row.text("task_name"),
        },
        meta={"slots": slots, **row.keep("audio_path", "sub-sub-category", "linguistics_sub_discipline")},
    )
