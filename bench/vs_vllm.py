"""Against vLLM: greedy answers, and 64 samples of each question, of the same model on the same cores.

    python bench/vs_vllm.py --items 200 --n 64

Runs in an environment with vLLM (``make vllm-test`` makes one for CPUs; docs/vllm.md). A small Qwen2-Audio with random
weights (hidden 256, 4 layers) is asked by both backends about the same WAV files, each in a process of its own, one
after the other, from decoding to texts. vLLM has prefix caching on and all questions at once, one request with n
samples for each. Samples are drawn at temperature 1 from the model as it is ("flat": nearly all 64 answers differ), and
with a head forty times as sharp ("peaked": some 4 answers, as trained models have), as our engine draws equal answers
once. Greedy answers and samples are of clips that were not heard before. ``--compiled`` lets vLLM compile its code. The
last line printed is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from random_checkpoint import build_qwen2_audio, save_qwen2_audio
from vs_processor import make_questions

from audio_eval.cli.run import quiet_libraries
from audio_eval.group import Group
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.threads import settle_threads

SHARPNESS = {"flat": 1.0, "peaked": 40.0}  # factor of the head's weights
WARM = 8  # questions before the clock runs


def side(backend: str, folder: Path, questions: list[Question], n: int, tokens: int, compiled: bool) -> dict[str, Any]:
    """Seconds of both parts, what was drawn, and the greedy answers. Half of the questions is for each part."""
    settings = {"kv_cache_gb": 4, "enforce_eager": not compiled} if backend == "vllm" else {}
    policy = load_policy(str(folder), Limits(32, tokens, "cpu"), backend, settings)
    policy.generate(questions[:WARM], Sampling())
    policy.generate(questions[:WARM], Sampling(n=n, temperature=1.0, stream="warm"))
    half = (len(questions) - WARM) // 2
    parts = questions[WARM : WARM + half], questions[WARM + half :]
    greedy_s, greedy = timed(policy, parts[0], Sampling())
    votes_s, votes = timed(policy, parts[1], Sampling(n=n, temperature=1.0, seed=0, stream="vote"))
    return {
        "threads": torch.get_num_threads(),
        "greedy_s": greedy_s,
        "greedy_tokens": drawn(greedy),
        "votes_s": votes_s,
        "votes_tokens": drawn(votes),
        "unique": sum(len(group.completions) for group in votes) / len(votes),
        "answers": [group.completions[0].tokens for group in greedy],
    }


def timed(policy: Any, questions: list[Question], sampling: Sampling) -> tuple[float, list[Group]]:
    """Seconds of wall time, and what was generated."""
    start = time.perf_counter()
    groups = policy.generate(questions, sampling)
    return time.perf_counter() - start, groups


def drawn(groups: list[Group]) -> int:
    """Tokens of all samples."""
    return sum(len(c.token_ids) * n for group in groups for c, n in zip(group.completions, group.counts, strict=True))


def in_a_process(arguments: list[str], backend: str) -> dict[str, Any]:
    """One side, in a process of its own; what it prints besides goes to the terminal."""
    command = [sys.executable, __file__, *arguments, "--side", backend]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(sharpness: str, ours: dict[str, Any], theirs: dict[str, Any], items: int, n: int) -> dict[str, Any]:
    """Rates of both, and how many greedy answers are the same tokens."""
    same = sum(one == other for one, other in zip(ours["answers"], theirs["answers"], strict=True))
    rates = {
        "same_answers": same, "unique_of_n": ours["unique"], "vllm_unique_of_n": theirs["unique"],
        "votes_per_s": items * n / ours["votes_s"], "vllm_votes_per_s": items * n / theirs["votes_s"],
        "votes_tokens_per_s": ours["votes_tokens"] / ours["votes_s"],
        "vllm_votes_tokens_per_s": theirs["votes_tokens"] / theirs["votes_s"],
        "greedy_per_s": items / ours["greedy_s"], "vllm_greedy_per_s": items / theirs["greedy_s"],
        "greedy_tokens_per_s": ours["greedy_tokens"] / ours["greedy_s"],
        "vllm_greedy_tokens_per_s": theirs["greedy_tokens"] / theirs["greedy_s"],
        "votes_ratio": theirs["votes_s"] / ours["votes_s"], "greedy_ratio": theirs["greedy_s"] / ours["greedy_s"],
    }  # fmt: skip
    print(f"{sharpness}: {same} of {items} greedy answers the same")
    for part, unit in (("greedy", "items"), ("votes", f"votes ({ours['unique']:.1f} of {n} differ)")):
        rate, tokens = ([rates[f"{who}{part}{what}"] for who in ("", "vllm_")] for what in ("_per_s", "_tokens_per_s"))
        print(
            f"  {part}: ours {rate[0]:.1f}, vLLM {rate[1]:.1f} {unit} per second, {tokens[0]:.0f} and {tokens[1]:.0f} "
            f"tokens; ratio {rates[f'{part}_ratio']:.2f}"
        )
    return {name: round(value, 3) for name, value in rates.items()}


def main() -> None:
    """Both sides for each sharpness, or, in a process of its own, one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200, help="clips of the greedy part, and as many of the other")
    parser.add_argument("--n", type=int, default=64, help="samples of each question")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a clip")
    parser.add_argument("--tokens", type=int, default=16, help="longest answer")
    parser.add_argument("--dims", choices=["small", "wide"], default="small")
    parser.add_argument("--sharpness", choices=[*SHARPNESS], nargs="+", default=[*SHARPNESS])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--side", choices=["hf", "vllm"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    quiet_libraries()
    settle_threads()  # for the processes of both sides, which inherit it
    if args.side:
        questions = make_questions(2 * args.items + WARM, args.seconds, args.folder / "clips")
        model = args.folder / args.sharpness[0]
        print(json.dumps(side(args.side, model, questions, args.n, args.tokens, args.compiled)))
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "clips").mkdir()
        for name in args.sharpness:
            model = build_qwen2_audio(args.dims)
            with torch.no_grad():
                model.lm_head.weight.mul_(SHARPNESS[name])
            save_qwen2_audio(model, folder / name)
            given = {key: getattr(args, key) for key in ("items", "n", "seconds", "tokens")} | {"sharpness": name}
            arguments = [text for key, value in given.items() for text in (f"--{key}", str(value))]
            arguments += ["--folder", str(folder), *(["--compiled"] if args.compiled else [])]
            ours, theirs = in_a_process(arguments, "hf"), in_a_process(arguments, "vllm")
            found[name] = compare(name, ours, theirs, args.items, args.n)
    print(json.dumps({"threads": ours["threads"], **found}))


if __name__ == "__main__":
    main()
