"""A vLLM server of our own: started on this machine's loopback address, waited for, and ended with this process."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import requests

from audio_eval.errors import UserError

HOST = "127.0.0.1"
_KEEPER = Path(__file__).with_name("keeper.py")
_DYING_S = 10.0  # that one whose engine is gone may take to end
_ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",  # /v1/load_lora_adapter
    "VLLM_SERVER_DEV_MODE": "1",  # /reset_prefix_cache, /reset_encoder_cache, /collective_rpc
    "PYTHONSAFEPATH": "1",  # no module of the current folder, as `python -m` would have them (Python 3.11)
    "VLLM_NO_USAGE_STATS": "1",  # it would report the model to its makers
}
_SETTINGS = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # unless the user has set them
_PREFIX = re.compile(r"^(\([^)]*\) )?((INFO|WARNING|ERROR) \S+ \S+ \[[^\]]*\] ?)?")
_REASON = re.compile(r"^[\w.]*(Error|Exception|Interrupt): ")


class VLLMServer:
    """``url`` is its root, such as "http://127.0.0.1:40123". It ends with this process, also if that is killed.
    ``log`` has what it said since its last start.

    ``arguments`` are the command line's behind the model. Raises ``UserError`` if it ends, or is not ready after
    ``wait_s`` seconds.
    """

    def __init__(self, model: str, arguments: Sequence[str], wait_s: float) -> None:
        port = _free_port()
        self.url = f"http://{HOST}:{port}"
        self._command = [*_program(model), *arguments, "--host", HOST, "--port", str(port)]
        self._wait_s = wait_s
        self._start()

    def _start(self) -> None:
        descriptor, log = tempfile.mkstemp(prefix="audio-eval-vllm-", suffix=".log")
        os.close(descriptor)
        self.log = Path(log)
        self._keeper = subprocess.Popen(
            [sys.executable, str(_KEEPER), log, *self._command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=_SETTINGS | dict(os.environ) | _ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        self._end = weakref.finalize(self, _end, self._keeper, self.log)
        try:
            self._wait(self._wait_s)
        except BaseException as error:
            self._end.detach()
            _end(self._keeper, None if isinstance(error, UserError) else self.log)  # a message names the log
            raise

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._keeper.poll() is None

    def check(self) -> None:
        """``UserError`` with its last words if it has ended."""
        if not self.alive:
            self._end.detach()
            raise UserError(f"the vLLM server ended ({_last_words(self.log)}); all that it said is in {self.log}.")

    def ended(self) -> bool:
        """Whether it has ended, or is about to: an engine that dies takes its server along, but later."""
        if self.alive and not self._answers():
            with suppress(subprocess.TimeoutExpired):
                self._keeper.wait(_DYING_S)
        return not self.alive

    @property
    def last_words(self) -> str:
        """The error that it ended with, or the last line that it said."""
        return _last_words(self.log)

    def restart(self) -> None:
        """Start one that has ended again, at the same address. ``UserError`` where it does not come up."""
        self._end()
        self._start()

    def stop(self) -> None:
        """End it now, with the processes that it started."""
        self._end()

    def _wait(self, wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            self.check()
            if self._answers():
                return
            time.sleep(0.25)
        raise UserError(
            f"the vLLM server is not ready after {wait_s:g} s ({_last_words(self.log)}): --model-args "
            f"server_wait=SECONDS gives it more; all that it said is in {self.log}."
        )

    def _answers(self) -> bool:
        """Whether it listens, and its engine is well."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy on the way to this machine
            try:
                return session.get(f"{self.url}/health", timeout=5).ok
            except requests.RequestException:
                return False


def _program(model: str) -> list[str]:
    """How vLLM's server is started; its own command insists on a distribution that is called vllm (vllm-cpu is not)."""
    try:
        version("vllm")
    except PackageNotFoundError:
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


def _end(keeper: subprocess.Popen, log: Path | None) -> None:
    """Close the keeper's input, and wait until it has ended the server; ``log`` is deleted."""
    assert keeper.stdin is not None
    keeper.stdin.close()
    keeper.wait()
    if log is not None:
        log.unlink(missing_ok=True)


def _last_words(log: Path) -> str:
    """The first error of the log, which is the cause of those behind it; else its last line."""
    said = [_PREFIX.sub("", line).strip() for line in log.read_text(errors="replace").splitlines()]
    said = [line for line in said if line]
    first = next((place for place, line in enumerate(said) if _REASON.match(line)), len(said) - 1)
    lines = 2 if said and "validation error" in said[first] else 1  # pydantic says in the next one what is wrong
    return " ".join(said[first:][:lines] or ["it said nothing"])[:300].rstrip(".")
