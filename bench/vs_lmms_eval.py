"""audio-eval against lmms-eval 0.7.3: items per second on the same recordings, prompts and checkpoint, and the answers.

    python bench/vs_lmms_eval.py                                  # makes lmms-eval's environment in build/lmms-eval
    python bench/vs_lmms_eval.py --environment DIR --items 8 --repeats 1

The model is Qwen2-Audio's class with random weights (``random_checkpoint``), the task has ``--items`` clips of
``--seconds`` in local WAV files (``clips_task``). audio-eval does a whole run of the method ``direct``; lmms-eval its
``simple_evaluate`` with its own model class ``qwen2_audio`` and each of ``--batch-sizes``, the fastest of which counts.
Both decode greedily, with the same prompts and longest answer, on the CPU with ``--threads`` threads. Each measurement
is a process of its own; ours and theirs take turns, and medians count. Imports, loading of the model, and an evaluation
of four other clips as a warm-up are reported, and no part of the ratio.

``ratio`` is that of the seconds of answering, from the questions to the responses: files, features, tower, decoding.
``ratio_evaluate`` has the rest of an evaluation too: lmms-eval's task and scores, our identity, log and scores.
Every answer that differs is traced with transformers' own processor and ``generate``; the last line is a JSON object.

lmms-eval's declared dependencies pull in some 110 packages (torchvision, wandb, yt-dlp, OpenCV), and it fails with
filelock 4, whose ``_api`` it imports. PACKAGES, found by trying, is what its evaluator and ``qwen2_audio`` need;
lmms-eval itself is installed without dependencies.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import clips_task
import torch
from random_checkpoint import build_qwen2_audio, save_qwen2_audio
from scipy.io import wavfile

from audio_eval.audio import RATE
from audio_eval.threads import free_cores

BENCH = Path(__file__).parent
LMMS_EVAL = "lmms-eval==0.7.3"
PACKAGES = (
    "torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0", "datasets==5.2.0", "evaluate==0.4.6",
    "filelock==3.32.7", "librosa==0.11.0", "loguru==0.7.3", "pillow==13.0.0", "pytablewriter==1.2.1",
    "sacrebleu==2.6.0", "soundfile==0.14.0", "tenacity==9.2.1",
)  # fmt: skip
WARM_UP = 4  # clips
SPACE = "white space around it, which audio-eval removes from a response"


def environment(folder: Path) -> Path:
    """The Python of lmms-eval's environment in ``folder``, which is made where there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {LMMS_EVAL} into {folder}", flush=True)
        venv.create(folder, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PACKAGES], check=True)
        subprocess.run([*pip, "--no-deps", LMMS_EVAL], check=True)
    return python


def measured(command: list[object], threads: int, out: Path) -> dict[str, Any]:
    """What one side reports; the end of its output where it fails."""
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*map(str, command), str(out)], env=os.environ | offline, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[1]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    found: dict[str, Any] = json.loads(out.read_text())
    if found["threads"] != threads:
        raise SystemExit(f"{command[1]} used {found['threads']} threads, not {threads}")
    return found


class Reference:
    """transformers' own processor and ``generate``, one item at a time."""

    def __init__(self, checkpoint: Path, task: Path, max_tokens: int) -> None:
        from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

        self._data, self._max_tokens = task / "data" / clips_task.NAME, max_tokens
        self._model = Qwen2AudioForConditionalGeneration.from_pretrained(checkpoint, use_safetensors=True).eval()
        self._processor = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=False)

    def answer(self, item: Mapping[str, Any], min_tokens: int) -> tuple[str, float]:
        """The greedy answer, and the smallest gap between the two best logits on the way to it."""
        content = [{"type": "audio", "audio_url": ""}, {"type": "text", "text": item["prompt"]}]
        text = self._processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        wave = wavfile.read(self._data / item["wav"])[1].astype("float32") / 32768
        inputs = self._processor(text=[text], audio=[wave], sampling_rate=RATE, return_tensors="pt")
        with torch.inference_mode():
            out = self._model.generate(
                **inputs, do_sample=False, max_new_tokens=self._max_tokens, min_new_tokens=min_tokens,
                return_dict_in_generate=True, output_logits=True,
            )  # fmt: skip
        best = torch.stack([logits[0] for logits in out.logits]).topk(2).values
        said = self._processor.decode(out.sequences[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return said, float((best[:, 0] - best[:, 1]).min())

    def explain(self, item: Mapping[str, Any], ours: str, theirs: str) -> str:
        """Where a difference comes from."""
        if ours == theirs.strip():
            return SPACE
        alone, gap = self.answer(item, 0)
        where = f"; the two best tokens of one position are {gap:.1e} apart in their logits"
        if not theirs and alone:
            return "lmms-eval's empty answer, which is what it makes of an exception"
        if alone.strip() == ours:
            if self.answer(item, 1)[0] == theirs:
                return "lmms-eval asks for at least one token"
            return f"lmms-eval's batch: transformers gives audio-eval's answer when the item is alone{where}"
        if alone.strip() == theirs.strip():
            return f"AUDIO-EVAL: transformers gives lmms-eval's answer when the item is alone{where}"
        return f"unexplained: transformers gives a third answer when the item is alone{where}"


def differing(
    reference: Reference, items: list[dict[str, Any]], ours: Mapping[str, str], theirs: Mapping[str, str]
) -> dict[str, list[str]]:
    """The ids of the items whose answers differ, by the reason."""
    found: dict[str, list[str]] = {}
    for item in items:
        one, other = ours[item["id"]], theirs[item["id"]]
        if one != other:
            found.setdefault(reference.explain(item, one, other), []).append(item["id"])
    return found


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write checkpoint and task, measure both in turn, trace what differs."""
    checkpoint = save_qwen2_audio(build_qwen2_audio("small"), folder / "checkpoint")
    task, warm = folder / "task", folder / "warm"
    clips_task.write(task, args.items, args.seconds, args.max_tokens)
    clips_task.write(warm, WARM_UP, args.seconds, args.max_tokens, first=args.items)
    python = environment(args.environment)
    sides: dict[str, list[object]] = {
        "audio-eval": [sys.executable, BENCH / "audio_eval_side.py", checkpoint, task, warm, args.max_tokens]
    }
    for size in args.batch_sizes:
        sides[f"lmms-eval, batch size {size}"] = [
            python, BENCH / "lmms_eval_side.py", checkpoint, task / "lmms_eval", warm / "lmms_eval", size,
        ]  # fmt: skip
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, command in sides.items():
            runs[name].append(one := measured(command, args.threads, folder / "out.json"))
            print(f"{name}: {args.items / one['answer_s']:.2f} items/s answering, {one['evaluate_s']:.1f} s in all, "
                  f"{one['imports_s']:.1f} s imports, {one['load_s']:.1f} s loading, "
                  f"{one['warm_up_s']:.1f} s warming up", flush=True)  # fmt: skip
    keys = ("imports_s", "load_s", "warm_up_s", "answer_s", "evaluate_s")
    medians = {
        name: {key: round(statistics.median(run[key] for run in each), 3) for key in keys}
        for name, each in runs.items()
    }
    best = min((name for name in sides if name != "audio-eval"), key=lambda name: medians[name]["answer_s"])
    mine, other = medians["audio-eval"], medians[best]
    reference = Reference(checkpoint, task, args.max_tokens)
    items = [json.loads(line) for line in (task / "data" / clips_task.NAME / "items.jsonl").read_text().splitlines()]
    ours = runs["audio-eval"][0]
    return {
        "benchmark": "vs_lmms_eval", "ratio": round(other["answer_s"] / mine["answer_s"], 2),
        "ratio_evaluate": round(other["evaluate_s"] / mine["evaluate_s"], 2),
        "ours_items_per_s": round(args.items / mine["answer_s"], 2),
        "theirs_items_per_s": round(args.items / other["answer_s"], 2), "theirs_best": best, "seconds": medians,
        "n": args.items, "clip_s": args.seconds, "max_tokens": args.max_tokens, "threads": args.threads,
        "repeats": args.repeats,
        "versions": runs[best][0]["versions"] | ours["versions"] | {"python": sys.version.split()[0]},
        "differing": {
            name: differing(reference, items, ours["responses"], runs[name][0]["responses"])
            for name in sides if name != "audio-eval"
        },
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio per item; synth_aqa's own clips have 2")
    parser.add_argument("--max-tokens", type=int, default=16, help="longest answer")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8], help="of lmms-eval; audio-eval has 32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=free_cores())
    parser.add_argument("--environment", type=Path, default=BENCH.parent / "build" / "lmms-eval")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compare(args, Path(folder))))


if __name__ == "__main__":
    main()
