"""A server of our own ends with the process that wants it, however that ends. Here with small programs in vLLM's place;
tests/vllm starts a real one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.models.vllm import server
from audio_eval.models.vllm.server import VLLMServer

psutil = pytest.importorskip("psutil")

# answers /health, and has a process of its own, as vLLM has its engine
SERVES = """
import http.server, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer((sys.argv[sys.argv.index("--host") + 1], port), Handler).serve_forever()
"""
DIES = """
print("INFO: starting")
print("(EngineCore pid=7) ERROR 11-28 14:57:46 [core.py:1510] ValueError: the model is broken.")
print("RuntimeError: Engine core initialization failed. See root cause above.")
raise SystemExit(1)
"""
OWNER = """
import sys, time
from pathlib import Path
from audio_eval.models.vllm import server
server._program = lambda model: [sys.executable, model]
server.VLLMServer(sys.argv[1], [], 60)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """A file with a program that is started instead of vLLM."""
    monkeypatch.setattr(server, "_program", lambda model: [sys.executable, model])

    def write(text: str) -> str:
        (tmp_path / "program.py").write_text(text)
        return str(tmp_path / "program.py")

    return write


def started(file: str) -> list[psutil.Process]:
    """The server and its processes, and the keeper."""
    found = [p for p in psutil.process_iter(["cmdline"]) if file in (p.info["cmdline"] or ())]
    return [*found, *(child for p in found for child in p.children(recursive=True))]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=20)[1]


def test_it_answers_and_stops_with_what_it_started(program: Callable[[str], str]) -> None:
    file = program(SERVES)
    ours = VLLMServer(file, [], 60)
    processes = started(file)
    assert ours.url.startswith("http://127.0.0.1:") and ours.alive and len(processes) >= 3
    ours.check()
    ours.stop()
    assert not ours.alive and all_gone(processes) and not ours.log.exists()


def test_one_that_ends_is_an_error_with_the_cause_in_its_log(program: Callable[[str], str]) -> None:
    with pytest.raises(UserError, match=r"the vLLM server ended \(ValueError: the model is broken\)") as error:
        VLLMServer(program(DIES), [], 60)
    log = Path(str(error.value).rsplit(" ", 1)[1].rstrip("."))
    assert "starting" in log.read_text() and "\n" not in str(error.value)
    log.unlink()
    file = program(SERVES)
    ours = VLLMServer(file, [], 60)
    [one] = [p for p in psutil.Process(ours._keeper.pid).children() if p.is_running()]
    processes = started(file)
    one.kill()
    ours._keeper.wait(20)
    with pytest.raises(UserError, match="the vLLM server ended"):
        ours.check()
    assert all_gone(processes)
    ours.log.unlink()


def test_one_that_is_not_ready_in_time_is_ended(program: Callable[[str], str]) -> None:
    file = program("import time; time.sleep(600)")
    with pytest.raises(UserError, match=r"not ready after 0\.3 s .*server_wait=SECONDS") as error:
        VLLMServer(file, [], 0.3)
    assert started(file) == []
    Path(str(error.value).rsplit(" ", 1)[1].rstrip(".")).unlink()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_owner(program: Callable[[str], str], how: signal.Signals) -> None:
    file = program(SERVES)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, file], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None and owner.stdout.readline() == "ready\n"
    processes = started(file)
    owner.send_signal(how)
    owner.wait(20)
    assert len(processes) >= 3 and all_gone([p for p in processes if p.pid != owner.pid])


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No module named 'vllm'") as error:
        VLLMServer(str(tmp_path), [], 60)
    Path(str(error.value).rsplit(" ", 1)[1].rstrip(".")).unlink()
