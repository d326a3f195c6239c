"""UltraFeedback's instructions as prompts (OpenBMB/UltraFeedback at 16d7132; openbmb/UltraFeedback on the hub)."""

from __future__ import annotations

from pathlib import PurePath

from audio_eval.data import OFFICIAL, Files, HubFiles, Record, SourceRow, Sources, record

# The names are the six values of ``source``. Public code reads sharegpt.jsonl and ultrachat.jsonl from the hub; the
# other four names are [inferred] from these.
FILES = tuple(
    f"{source}.jsonl" for source in ("evol_instruct", "false_qa", "flan", "sharegpt", "truthful_qa", "ultrachat")
)


def _record(row: SourceRow) -> Record:
    """The completions of models and their ratings are left out."""
    return record(
        id=f"{PurePath(row.where.file).stem}-{row.where.number}",
        question=row.text("instruction"),
        groups={"source": row.text("source")},
    )


PROMPTS = Sources(
    {
        OFFICIAL: Files("ultrafeedback", FILES, "", _record),
        "openbmb/UltraFeedback": HubFiles("openbmb/UltraFeedback", FILES, Files("", FILES, "", _record)),
    }
)
