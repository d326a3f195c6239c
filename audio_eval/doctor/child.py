"""Run a piece of Python in a process of its own: a library that crashes or hangs takes nothing else down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

# The child has this process's import path, before it imports anything: that of `python -c` begins with the current
# folder, which may be a stranger's and hold a json.py. What it tells goes to the real standard output; whatever a
# library prints goes to the standard error.
_BEFORE = """
import sys
sys.path[:] = {path}
import json, os
_out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
def tell(value):
    print(json.dumps(value), file=_out, flush=True)
"""


class Told(NamedTuple):
    """``values`` are what the child told before it ended; ``why`` says what went wrong, None where it ended well."""

    values: list[Any]
    why: str | None


def in_child(code: str, seconds: float, **environment: str) -> Told:
    """Run ``code``, which hands its results over with ``tell(value)``, for ``seconds`` at most."""
    command = [sys.executable, "-c", _BEFORE.format(path=ascii(sys.path)) + code]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        env={**os.environ, **environment},
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=seconds)
        why = _reason(process.returncode, err)
    except subprocess.TimeoutExpired:
        process.kill()
        out, _ = process.communicate()
        why = f"no end after {seconds:g} s"
    return Told([json.loads(line) for line in out.splitlines()], why)


def _reason(code: int, err: str) -> str | None:
    if code == 0:
        return None
    if code < 0:
        return f"the process was killed by signal {-code}"
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {code}"
