"""A task of local recordings, written twice: as audio-eval reads it, and as lmms-eval does. Both get the same prompts.

``write`` makes, below a folder,

    data/clips_qa/items.jsonl, data/clips_qa/clips/*.wav    the items: synth_aqa's questions, clips joined to a length
    audio_eval/{clips_qa.yaml, data.py}                      for --include-path, with data/ as --data-dir
    lmms_eval/{clips_qa.yaml, utils.py}                      for TaskManager(include_path=...)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from audio_eval.audio import RATE
from audio_eval.task import load_task

NAME = "clips_qa"
OURS = """\
task: clips_qa
custom_dataset: !function data.TEST
test_split: test
output_type: generate_until
doc_to_text: !function audio_eval.tasks.common.doc_to_text
doc_to_audio: !function audio_eval.tasks.common.doc_to_audio
doc_to_target: answer
process_results: !function audio_eval.tasks.common.process_results
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
generation_kwargs: {until: [], do_sample: false}
metadata:
  version: "1"
  description: "recordings written for a comparison of speed"
  groups: [task]
  reads: D/clips_qa/items.jsonl + clips/
"""
OURS_DATA = """\
from audio_eval.data import OFFICIAL, Files, Sources, record


def _record(row):
    choices = row.choices("choices")
    return record(
        id=row.text("id"), **row.audio("wav"), question=row.text("question"), choices=choices,
        answer=row.text("answer"), groups={"task": row.label("task")},
    )


TEST = Sources({OFFICIAL: Files("clips_qa", "items.jsonl", "clips", _record)})
"""
THEIRS = """\
task: clips_qa
dataset_path: json
dataset_kwargs: {{data_files: {{test: {items}}}, cache_dir: {cache}}}
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_audio
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
process_results: !function utils.process_results
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
generation_kwargs: {{until: [], max_new_tokens: {max_tokens}, temperature: 0, do_sample: false}}
metadata: {{version: 1.0}}
"""
THEIRS_UTILS = """\
from pathlib import Path

import soundfile

DATA = Path(__file__).parents[1] / "data" / "clips_qa"


def doc_to_audio(doc):
    samples, rate = soundfile.read(DATA / doc["wav"], dtype="float32")
    return [{"array": samples, "sampling_rate": rate}]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    return doc["prompt"]


def process_results(doc, results):
    return {"acc": float(doc["answer"].lower() in results[0].lower())}
"""


def write(folder: Path, items: int, seconds: float, max_tokens: int, first: int = 0) -> None:
    """Write ``items`` items whose clips last ``seconds``, as 16-bit WAV, and the task for both harnesses.

    ``max_tokens`` is the longest answer; audio-eval is told that by the run, lmms-eval by the task. ``first`` is the
    number of the first item; an item's question and clip depend on its number alone.
    """
    data = folder / "data" / NAME
    (data / "clips").mkdir(parents=True)
    source = load_task("synth_aqa").examples
    waves = [example.question.audio.load(RATE) for example in source if example.question.audio is not None]
    lines = []
    for i in range(first, first + items):
        asked, answer = source[i % len(source)].question, source[i % len(source)].answer
        joined, k = np.empty(0, np.float32), i  # the question's own recording, and those of the items behind it
        while len(joined) < seconds * RATE:
            joined, k = np.concatenate([joined, waves[k % len(waves)]]), k + 1
        samples = (joined[: round(seconds * RATE)] * 32767).astype(np.int16)
        samples[:16] = i  # no two items share a clip, so that none is encoded for another
        wav = f"clips/{i:05d}.wav"
        wavfile.write(data / wav, RATE, samples)
        item = {"id": f"item{i}", "wav": wav, "question": asked.question, "choices": list(asked.choices),
                "answer": answer, "task": asked.groups["task"], "prompt": asked.prompt}  # fmt: skip
        lines.append(json.dumps(item) + "\n")
    (data / "items.jsonl").write_text("".join(lines))
    theirs = THEIRS.format(items=data / "items.jsonl", cache=folder / "cache", max_tokens=max_tokens)
    files = {
        f"audio_eval/{NAME}.yaml": OURS, "audio_eval/data.py": OURS_DATA,
        f"lmms_eval/{NAME}.yaml": theirs, "lmms_eval/utils.py": THEIRS_UTILS,
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
