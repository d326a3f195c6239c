"""audio-eval's side of ``vs_lmms_eval.py``: one run of the method ``direct``, timed.

    python bench/audio_eval_side.py CHECKPOINT TASK WARM_UP MAX_TOKENS OUT

TASK is a folder that ``clips_task.write`` made, WARM_UP another one with a few other items. OUT gets one JSON object:
seconds, versions, and the response to each item.
"""

from __future__ import annotations

import time

START = time.perf_counter()

import json  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

from audio_eval.threads import settle_threads  # noqa: E402

settle_threads()  # before torch is imported


def main(checkpoint: str, task: str, warm_up: str, max_tokens: str, out: str) -> None:
    """Load, warm up, evaluate, write."""
    import torch

    from audio_eval.cli.run import quiet_libraries
    from audio_eval.group import Group
    from audio_eval.models.policy import Sampling
    from audio_eval.questions import Question
    from audio_eval.runlog import RunLog, RunSpec
    from audio_eval.runs.execute import Executor

    quiet_libraries()

    def spec(folder: str) -> RunSpec:
        return RunSpec(
            model=checkpoint, method="direct", method_args={}, task="clips_qa", max_tokens=int(max_tokens),
            device="cpu", data_dir=str(Path(folder) / "data"), include_path=str(Path(folder) / "audio_eval"),
        )  # fmt: skip

    imported = time.perf_counter()
    executor = Executor()
    policy = executor.loader.policy(spec(task))
    loaded = time.perf_counter()
    generate, answering = policy.generate, 0.0

    def timed(questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        nonlocal answering
        begun = time.perf_counter()
        found = generate(questions, sampling)
        answering += time.perf_counter() - begun
        return found

    policy.generate = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as runs:
        executor.run(spec(warm_up), Path(runs) / "warm_up")
        warm, answering = time.perf_counter(), 0.0
        executor.run(spec(task), Path(runs) / "run")
        evaluated = time.perf_counter()
        log = RunLog(Path(runs) / "run")
        responses = {record.id: record.response for record in log.responses.read()}
    report = {
        "imports_s": imported - START,
        "load_s": loaded - imported,
        "warm_up_s": warm - loaded,
        "evaluate_s": evaluated - warm,
        "answer_s": answering,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("audio-eval", "transformers", "torch")},
        "responses": responses,
    }
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
