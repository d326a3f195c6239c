"""my_benchmark: turns the rows of its file into records. Change the names in quotes to those of your file."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, Record, SourceRow, Sources, record

GROUPS = ("category",)  # name them in the YAML's metadata too


def _record(row: SourceRow) -> Record:
    """Convert one row; ``row`` notes what is wrong, and all broken rows are reported together."""
    return record(
        id=row.text("id"),
        **row.audio("audio_path"),
        question=row.text("question"),
        choices=row.choices(),
        answer=row.text("answer"),
        groups={name: row.label(name) for name in GROUPS},
    )


# Folder and file below --data-dir, the name of the audio folder for messages, the converter.
TEST = Sources({OFFICIAL: Files("my_benchmark", "my_benchmark.jsonl", "audio", _record)})
