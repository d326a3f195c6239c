"""lmms-eval's side of ``vs_lmms_eval.py``: its own evaluator and its own model class, timed.

Runs in lmms-eval's environment, which has no audio-eval:

    ENVIRONMENT/bin/python bench/lmms_eval_side.py CHECKPOINT TASKS WARM_UP BATCH_SIZE OUT

TASKS is a folder with the task ``clips_qa``, WARM_UP one with a short task of the same name. OUT gets one JSON object:
seconds, versions, and the response to each item.

Two things are changed in ``Qwen2_Audio``. It runs on a GPU only: with ``device_map="auto"`` it loads where it is told
to, but sends every batch to "cuda", so the attribute that it decides this by is set anew once the model is loaded. And
it is not emptied (``clean``) behind the warm-up.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

START = time.perf_counter()


def main(checkpoint: str, tasks: str, warm_up: str, batch_size: str, out: str) -> None:
    """Load, warm up, evaluate, write."""
    import torch
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.models.simple.qwen2_audio import Qwen2_Audio
    from lmms_eval.tasks import TaskManager

    imported = time.perf_counter()
    model = Qwen2_Audio(pretrained=checkpoint, device="cpu", device_map="auto", batch_size=batch_size)
    model.device_map = "cpu"
    loaded = time.perf_counter()
    generate_until, answering = model.generate_until, []

    def timed(requests):
        begun = time.perf_counter()
        found = generate_until(requests)
        answering.append(time.perf_counter() - begun)
        return found

    def evaluate(folder):
        manager = TaskManager(include_path=folder, include_defaults=False, model_name="qwen2_audio")
        return simple_evaluate(model=model, tasks=["clips_qa"], task_manager=manager, batch_size=int(batch_size))

    model.generate_until, model.clean = timed, lambda: None
    evaluate(warm_up)
    warm = time.perf_counter()
    found = evaluate(tasks)
    evaluated = time.perf_counter()
    responses = {sample["doc"]["id"]: sample["resps"][0][0] for sample in found["samples"]["clips_qa"]}
    if not any(responses.values()):
        raise SystemExit("all answers are empty, which is what Qwen2_Audio makes of an exception")
    report = {
        "imports_s": imported - START,
        "load_s": loaded - imported,
        "warm_up_s": warm - loaded,
        "evaluate_s": evaluated - warm,
        "answer_s": answering[-1],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("lmms-eval", "transformers", "torch")},
        "responses": responses,
    }
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
