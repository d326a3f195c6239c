"""MMSU's official metadata and hub mirrors as records (dingdongwang/MMSU at 217d1d3)."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, HubRows, Record, SourceRow, Sources, record

SLOTS = ("choice_a", "choice_b", "choice_c", "choice_d")


def _slots(row: SourceRow) -> list[str | None]:
    """The options by slot. A null slot is no option; the text "None" is one, in 19 items."""
    return [row.text(slot) if row.values.get(slot) is not None else None for slot in SLOTS]


def _record(row: SourceRow, slots: list[str | None], answer: str) -> Record:
    """``meta.slots`` keeps all four slots for the official letter rule.

    The official table crosses category with sub-category, because "Linguistics" occurs in both categories. Task names
    are not checked: the paper and the files spell them differently.
    """
    row.values["choices"] = [slot for slot in slots if slot is not None]
    category, sub_category = row.text("category"), row.text("sub-category")
    return record(
        id=row.text("id"),
        **row.audio("audio_path"),
        question=row.text("question"),
        choices=row.choices(),
        answer=answer,
        groups={
            "category": category,
            "category/sub-category": f"{category}/{sub_category}",
            "task_name": row.text("task_name"),
        },
        meta={"slots": slots, **row.keep("sub-sub-category", "linguistics_sub_discipline")},
    )


def _official(row: SourceRow) -> Record:
    return _record(row, _slots(row), row.text("answer_gt"))


def _hub(row: SourceRow) -> Record:
    """ddwang2000/MMSU: the official fields with an audio column (sgl-project/sglang-omni's mmsu benchmark)."""
    row.rename(audio="audio_path")
    return _official(row)


def _lmms(row: SourceRow) -> Record:
    """ngqtrung/mmsu: slots, a letter as ``answer``, ``sub_category`` (lmms-eval at 082b872, tasks/mmsu/utils.py).

    That it has the official ``id`` is [inferred].
    """
    row.rename(audio="audio_path", sub_category="sub-category")
    slots = _slots(row)
    return _record(row, slots, row.letter("answer", slots))


TEST = Sources(
    {
        OFFICIAL: Files("mmsu", "MMSU.jsonl", "audio", _official),
        "ddwang2000/MMSU": HubRows("ddwang2000/MMSU", "train", _hub),
        "ngqtrung/mmsu": HubRows("ngqtrung/mmsu", "test", _lmms),
    }
)
