"""my_benchmark: the rows of its file as records. Change the names in quotes to those of your file."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, Record, SourceRow, Sources, record

GROUPS = ("category",)  # the YAML's metadata names them too


def _record(row: SourceRow) -> Record:
    """One row; what is wrong with it is noted by ``row`` and reported with the other broken ones."""
    return record(
        id=row.text("id"),
        **row.audio("audio_path"),
        question=row.text("question"),
        choices=row.choices(),
        answer=row.text("answer"),
        groups={name: row.label(name) for name in GROUPS},
    )


# Folder and file below --data-dir, the name of the audio folder for messages, the normaliser.
TEST = Sources({OFFICIAL: Files("my_benchmark", "my_benchmark.jsonl", "audio", _record)})
