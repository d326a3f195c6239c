"""YAML: run files as the command line takes them, tasks as --include-path brings them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tests.bad_input import texts
from tests.fuzz.target import MESSAGE, Target, folder, read


def run_file(data: bytes) -> None:
    """A run file: the specs that it makes can be written down."""
    from audio_eval.runs import plan

    plan.listing = _our_tasks
    path = folder() / "run.yaml"
    path.write_bytes(data)
    for spec in read(lambda: plan.plan({}, str(path))) or ():
        assert json.loads(json.dumps(spec.model_dump(), allow_nan=False)) == spec.model_dump(mode="json")


@lru_cache(maxsize=4)
def _listed(include_path: str | None) -> Any:
    from audio_eval.task_index import listing

    return listing(include_path)


def _our_tasks(include_path: str | None = None) -> Any:
    """The tasks, read once. A folder that the file names is not walked: it may be all of the disk."""
    from audio_eval.errors import UserError

    if include_path is not None:
        raise UserError(f"no folder '{include_path}'.")
    return _listed(None)


def _run_files() -> Iterator[bytes]:
    yield from (text for text in texts.RUN_FILES if len(text) < 4096)
    for method in ("direct", "ttrl", "aqa_ttrl", "sft", "grpo", "sari"):
        yield f"model: tiny-omni\ntasks: [synth_aqa, mmar]\nmethod: [{method}]\nseed: [0, 1]\nlimit: 0.5\n".encode()
        yield f"model: tiny-omni\ntasks: synth_aqa\nmethod: {method}\nmethod_args: {{lr: 1.0e-4, steps: 3}}\n".encode()


def task_file(data: bytes) -> None:
    """A task's file: it is a task, or left out with the reason, and a task has a fingerprint."""
    from audio_eval import task_index

    tasks, package = folder() / "tasks", folder() / "package"
    for made in (tasks, package):
        made.mkdir(exist_ok=True)
    task_index.TASKS_DIR = package  # empty: the package's own are read in another test
    (tasks / "mine.yaml").write_bytes(data)
    found = task_index.listing(str(tasks))
    assert all("mine.yaml" in reason and len(reason) < MESSAGE for reason in found.broken.values())
    read(lambda: found.expand([*found.tasks, *found.groups, "nosuch:test"]))
    for name in found.tasks:
        json.dumps(found.tasks[name], allow_nan=True)
        read(lambda name=name: found.definition(name))
        if ":" not in name:  # what stands behind it is asked for as a split, so that "expand" knows no such task
            read(lambda name=name: found.check_sources([name], ["official"]))


def _task_files() -> Iterator[bytes]:
    yield from (text for text in texts.YAML if len(text) < 4096)
    yield (
        b"include: mine.yaml\ntask: mine\ntag: [a, b]\nmetadata:\n  version: 1.0\n  description: d\n  groups: [x]\n"
        b"  hub: [a/b]\n  scoring: mine:Scorer\n  official: mine:rule\ncustom_dataset: !function mine.build\n"
    )
    yield b"group: g\ntask: [a, b]\n"
    yield b"task: &a [*a]\nx: &b {<<: {y: 1}}\nz: *b\n"


TARGETS = {
    "run_file": Target(run_file, _run_files, instrumented=("audio_eval", "yaml")),
    "task_file": Target(task_file, _task_files, instrumented=("audio_eval", "yaml")),
}
