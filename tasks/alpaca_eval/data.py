"""AlpacaEval 2's prompts with the baseline's answers (tatsu-lab/alpaca_eval on the hub)."""

from __future__ import annotations

from audio_eval.data import OFFICIAL, Files, HubFiles, Record, SourceRow, Sources, record

FILE = "alpaca_eval_gpt4_baseline.json"


def _record(row: SourceRow) -> Record:
    """The field names are those of the hub's loader script and of NVIDIA-NeMo/RL (alpaca2 evaluation set)."""
    dataset = row.text("dataset")
    return record(
        id=f"{dataset}-{row.where.number - 1:04d}",
        question=row.text("instruction"),
        groups={"dataset": dataset},
        meta={"baseline": row.text("output"), "generator": row.text("generator")},
    )


PROMPTS = Sources(
    {
        OFFICIAL: Files("alpaca_eval", FILE, "", _record),
        "tatsu-lab/alpaca_eval": HubFiles("tatsu-lab/alpaca_eval", (FILE,), Files("", FILE, "", _record)),
    }
)
