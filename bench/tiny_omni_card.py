"""The card of tiny-omni: its training record, and its accuracy by split and prompt.

    python bench/tiny_omni_card.py        writes docs/tiny-omni.md and docs/tiny-omni-loss.svg

"clean" is the training distribution with clips that it was not trained on (another seed of the train split).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
from tabulate import tabulate

from audio_eval.audio import AudioRef
from audio_eval.cli.run import quiet_libraries
from audio_eval.models.backends import load_policy
from audio_eval.models.catalog import TINY_OMNI
from audio_eval.models.policy import Policy, Sampling
from audio_eval.prompts import PromptTemplate, find
from audio_eval.questions import Question
from audio_eval.scoring import parse_choice
from audio_eval.tasks.synth_aqa.dataset import recording
from audio_eval.tasks.synth_aqa.items import make_item

matplotlib.use("svg")
SPLITS = {"clean, seed 1": (1, "train", 400), "validation": (0, "validation", 400), "test": (0, "test", 600)}
PROMPTS = {
    "standard (never trained on)": find("r1_aqa"),
    "tags, trained wording": PromptTemplate(
        "tags", "{{ question }} Pick one of {{ choices }}. Put your answer in <answer> </answer>."
    ),
    "option text, trained wording": PromptTemplate(
        "text", "{{ question }} Pick one of {{ choices }}. Give only the answer."
    ),
}


def questions(seed: int, split: str, n: int) -> list[tuple[Question, str]]:
    """Items and their answers; recordings are rendered into the usual cache."""
    items = [make_item(seed, split, i) for i in range(n)]
    return [
        (Question(item.id, AudioRef(str(recording(item)[0])), item.question, item.choices, ""), item.answer)
        for item in items
    ]


def measure(policy: Policy, items: Sequence[tuple[Question, str]], prompt: PromptTemplate) -> tuple[float, float]:
    """Greedy accuracy and unparsable share, in percent."""
    asked = [replace(q, prompt=prompt.render(q.question, q.choices)) for q, _ in items]
    named = [parse_choice(g.best(), g.question.choices) for g in policy.generate(asked, Sampling())]
    right = [c is not None and q.choices[c] == answer for c, (q, answer) in zip(named, items, strict=True)]
    return 100 * sum(right) / len(items), 100 * sum(c is None for c in named) / len(items)


def plot(stages: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss over steps, one stage after the other."""
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "audio-eval"
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    offset = 0
    for i, stage in enumerate(stages):
        axis.plot(
            [offset + p["step"] for p in stage["curve"]], [p["loss"] for p in stage["curve"]], label=f"stage {i + 1}"
        )
        offset += stage["curve"][-1]["step"]
    axis.set(xlabel="step", ylabel="loss", yscale="log")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    quiet_libraries()
    stages = json.loads((Path(TINY_OMNI.source) / "training.json").read_text())
    policy = load_policy("tiny-omni")
    rows = []
    for split, where in SPLITS.items():
        items = questions(*where)
        for name, template in PROMPTS.items():
            accuracy, unparsable = measure(policy, items, template)
            rows.append([split, len(items), name, f"{accuracy:.1f}", f"{unparsable:.1f}"])
        chance = 100 * sum(1 / len(q.choices) for q, _ in items) / len(items)
        rows.append([split, len(items), "chance", f"{chance:.1f}", ""])
    plot(stages, args.docs / "tiny-omni-loss.svg")
    template = (Path(__file__).parent / "tiny_omni_card.md").read_text()
    records = [
        [i + 1, s["curve"][-1]["step"], f"{s['curve'][-1]['seconds'] / 60:.1f}", s["curve"][-1]["loss"],
         ", ".join(f"{k} {v}" for k, v in s["arguments"].items() if v not in ("None", ""))]
        for i, s in enumerate(stages)
    ]  # fmt: skip
    (args.docs / "tiny-omni.md").write_text(
        template.replace("ACCURACIES", tabulate(rows, headers=["split", "n", "asked", "accuracy %", "unparsable %"],
                                                tablefmt="github", disable_numparse=True))
        .replace("STAGES", tabulate(records, headers=["stage", "steps", "minutes", "last loss", "arguments"],
                                    tablefmt="github"))
        .replace("REVISION", policy.info.revision)
    )  # fmt: skip
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
