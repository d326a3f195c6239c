"""MMAR's official metadata and hub mirrors as records (ddlBoJack/MMAR at 3bce090)."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, HubFiles, HubRows, Record, SourceRow, Sources, record, unlettered

GROUPS = ("modality", "category", "sub-category")


def _record(row: SourceRow, choices: list[str], answer: str) -> Record:
    """``thinking``, ``cue`` and ``rubric`` are left out: they give the answer away."""
    return record(
        id=row.text("id"),
        **row.audio("audio_path"),
        question=row.text("question"),
        choices=choices,
        answer=answer,
        groups={name: row.label(name) for name in GROUPS},
        meta=row.keep("language", "source", "timestamp"),
    )


def _official(row: SourceRow) -> Record:
    return _record(row, row.choices(), row.text("answer"))


def _lmms(row: SourceRow) -> Record:
    """ngqtrung/mmar: "A. text" options and a letter as ``answer`` (lmms-eval at 226ba42, tasks/mmar/utils.py).

    It names the layer ``subcategory``; that ids are the official ones is [inferred].
    """
    row.rename(audio="audio_path", subcategory="sub-category", sub_category="sub-category")
    choices, _ = unlettered(row.choices(), "")
    return _record(row, choices, row.letter("answer", choices))


TEST = Sources(
    {
        OFFICIAL: Files("mmar", "MMAR-meta.jsonl", "audio", _official),
        # The hub's own metadata is the JSON list of 2025-05-11: six rows differ from the .jsonl on GitHub, and a gold
        # that is none of the options stays wrong there. Its archive unpacks to audio/<id>.wav.
        "BoJack/MMAR": HubFiles(
            "BoJack/MMAR", ("MMAR-meta.json",), Files("", "MMAR-meta.json", "audio", _official), "mmar-audio.tar.gz"
        ),
        "ngqtrung/mmar": HubRows("ngqtrung/mmar", "test", _lmms),
    }
)
