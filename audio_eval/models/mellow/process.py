"""The process in Mellow's own Python: started, asked line by line, and read when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError

WORKER = Path(__file__).with_name("worker.py")


class MellowProcess:
    """One loaded model. The process ends with this one, as its input is closed then."""

    def __init__(self, python: str, checkout: str, model: str, device: str) -> None:
        self._python, self._arguments = python, (checkout, model, device)
        self._start()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        # what was set for this Python is wrong for another one
        environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        try:
            self._process = subprocess.Popen(
                [self._python, str(WORKER), *self._arguments], env=environment, encoding="utf-8",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"backend 'mellow': python={self._python} cannot be started ({error.strerror}).") from None
        self._read()

    def ask(self, clips: list[str], prompt: str, max_tokens: int) -> dict[str, Any]:
        """``{"text", "finished"}``, or ``{"error"}`` where the model cannot be asked this.

        A process that dies is started again, and asked again; one that dies twice of the same question is its error.
        ``UserError`` where it cannot be started any more.
        """
        line = json.dumps({"clips": clips, "prompt": prompt, "max_tokens": max_tokens})
        try:
            return self._asked(line)
        except UserError:
            self._start()
        try:
            return self._asked(line)
        except UserError as error:
            self._start()
            return {"error": f"{' '.join(str(error).split())} It died of this question twice"}

    def _asked(self, line: str) -> dict[str, Any]:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended; reading says why
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            return found
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        raise UserError(
            f"backend 'mellow': the process of the package ended ({said[-1].strip() if said else 'without a word'}); "
            "docs/mellow.md says what it needs."
        )
