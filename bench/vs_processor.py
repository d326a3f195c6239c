"""Against transformers: the features of one clip, and a greedy evaluation from files to answers.

    python bench/vs_processor.py --part features
    python bench/vs_processor.py --part eval --items 200 --seconds 10

``Qwen2_5OmniProcessor`` cannot be built without torchvision, which its video part needs. So the reference makes the
same call as processing_qwen2_5_omni.py, with the real feature extractor, ``padding="max_length"`` to 300 s and an
attention mask, and expands the placeholder in the same way. Tokenizer, left padding and ``model.generate`` follow, as
in lmms-eval and lm-eval. Nothing is downloaded: the extractor is built from its published settings, and the model is
tiny-omni. The last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import wavfile
from transformers import WhisperFeatureExtractor

from audio_eval.audio import RATE, AudioRef
from audio_eval.cli.run import quiet_libraries
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.hf.features import log_mel
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.task import load_task

BATCH_SIZES = (1, 4, 8, 16, 32)
MAX_TOKENS = 64


def processor_features(extractor: Any, waves: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Features (items, mels, 30000) and mask (items, 30000), as ``Qwen2_5OmniProcessor._process_audio`` makes them."""
    heard = extractor(
        list(waves), sampling_rate=RATE, padding="max_length", return_attention_mask=True, return_tensors="pt"
    )
    return {"input_features": heard["input_features"], "feature_attention_mask": heard["attention_mask"]}


def timed(call: Callable[[], Any]) -> float:
    """Seconds of wall time."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def features(seconds: float, repeats: int) -> dict[str, Any]:
    """Median seconds of both on one clip, measured in turn.

    Each call of the reference is followed by five of ours, because the first one is slowed down by threads of the
    reference that are still spinning.
    """
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=300, return_attention_mask=True)
    wave = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * np.float32(0.1)
    theirs, ours = processor_features(extractor, [wave]), log_mel(extractor, wave)
    valid = int(theirs["feature_attention_mask"].sum())
    assert ours.shape[1] == valid
    difference = float(np.abs(theirs["input_features"][0, :, :valid].numpy() - ours).max())
    theirs_s, all_ours_s = [], []
    for _ in range(repeats):
        theirs_s.append(timed(lambda: processor_features(extractor, [wave])))
        all_ours_s += [timed(lambda: log_mel(extractor, wave)) for _ in range(5)]
    reference_s, ours_s = statistics.median(theirs_s), statistics.median(all_ours_s)
    return {"ratio": reference_s / ours_s, "max_abs_diff": difference, "ours_s": ours_s, "reference_s": reference_s}


def make_questions(items: int, seconds: float, folder: Path) -> list[Question]:
    """Questions of synth_aqa; the clips of each and of its neighbours are joined to ``seconds``, as 16-bit WAV."""
    asked = load_task("synth_aqa", limit=items).questions
    waves = [q.audio.load(RATE) for q in asked if q.audio is not None]
    questions = []
    for i in range(items):
        joined, k = np.empty(0, np.float32), i
        while len(joined) < seconds * RATE:
            joined, k = np.concatenate([joined, waves[k % len(waves)]]), k + 1
        path = folder / f"{i:05d}.wav"
        wavfile.write(path, RATE, (joined[: round(seconds * RATE)] * 32767).astype(np.int16))
        questions.append(replace(asked[i % len(asked)], id=f"item{i}", audio=AudioRef(path=str(path))))
    return questions


def reference_answers(policy: HFPolicy, questions: Sequence[Question], batch_size: int) -> list[list[int]]:
    """Tokens of each greedy answer of ``model.generate``, end token included."""
    checkpoint = policy.encoder.checkpoint
    tokenizer, ends = checkpoint.tokenizer, sorted(policy._end_ids)
    answers = []
    for start in range(0, len(questions), batch_size):
        batch = questions[start : start + batch_size]
        inputs = processor_features(checkpoint.extractor, [q.audio.load(RATE) for q in batch if q.audio is not None])
        texts = []
        for question, frames in zip(batch, inputs["feature_attention_mask"].sum(-1).tolist(), strict=True):
            content = [{"type": "audio", "audio_url": ""}, {"type": "text", "text": question.prompt}]
            turn = [{"role": "user", "content": content}]
            text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            tokens = ((frames - 1) // 2 + 1 - 2) // 2 + 1
            texts.append(text.replace("<|AUDIO|>", "<|AUDIO|>" * tokens))
        tokenized = tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
        ids = tokenized["input_ids"]
        with torch.inference_mode():
            out = policy.model.generate(
                input_ids=ids, attention_mask=tokenized["attention_mask"], **inputs, max_new_tokens=MAX_TOKENS,
                do_sample=False, eos_token_id=ends, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        for row in out[:, ids.shape[1] :].tolist():
            last = next((k for k, token in enumerate(row) if token in ends), len(row) - 1)
            answers.append(row[: last + 1])
    return answers


def evaluation(items: int, seconds: float) -> dict[str, Any]:
    """Seconds of both, the reference at its best batch size; the answers are compared item by item."""
    policy = load_policy("tiny-omni", Limits(32, MAX_TOKENS, "cpu"))
    assert isinstance(policy, HFPolicy)
    with tempfile.TemporaryDirectory() as folder:
        questions = make_questions(items, seconds, Path(folder))
        warm = questions[:4]
        reference_answers(policy, warm, 4)
        load_policy("tiny-omni", Limits(device="cpu")).generate(warm, Sampling())
        probe = questions[: min(items, 64)]
        rates = {}
        for size in BATCH_SIZES:
            rates[size] = len(probe) / timed(partial(reference_answers, policy, probe, size))
            print(f"reference, batch size {size}: {rates[size]:.2f} items/s", flush=True)
        best = max(rates, key=rates.__getitem__)
        found: dict[str, Any] = {}
        reference_s = timed(lambda: found.update(theirs=reference_answers(policy, questions, best)))
        ours_s = timed(lambda: found.update(ours=policy.generate(questions, Sampling())))
    assert policy.encoder.calls == items, "the cache was cold: every clip is a recording of its own"
    ours = [list(group.completions[0].tokens) for group in found["ours"]]
    same = sum(one == other for one, other in zip(ours, found["theirs"], strict=True))
    return {
        "ratio": reference_s / ours_s, "same_answers": f"{same}/{items}", "ours_s": ours_s, "reference_s": reference_s,
        "batch_sizes": {"reference": best, "ours": policy.batch_size},
        "reference_items_per_s": {str(size): round(rate, 2) for size, rate in rates.items()},
        "ours_items_per_s": round(items / ours_s, 2), "items": items,
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("features", "eval"), required=True)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="seconds of audio per item")
    parser.add_argument("--repeats", type=int, default=20, help="repetitions of the features part")
    args = parser.parse_args()
    quiet_libraries()
    part = args.part
    found = features(args.seconds, args.repeats) if part == "features" else evaluation(args.items, args.seconds)
    found = {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}
    print(json.dumps({"benchmark": "vs_processor", "part": part, "seconds": args.seconds, **found}))


if __name__ == "__main__":
    main()
