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
from audio_eval.group import Group
from audio_eval.models.api.policy import APIPolicy
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import Limits
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.models.vllm import server
from audio_eval.models.vllm.control import Control
from audio_eval.models.vllm.remote import RESTARTS, VLLMServerPolicy
from audio_eval.models.vllm.server import VLLMServer
from audio_eval.openai_client import OpenAIClient
from audio_eval.questions import Question

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


# speaks as much of vLLM as the policy asks for, and dies where a prompt says so: "poison" each time, "once" the first
# time; tokens of "adapted" are those of an adapter that it has loaded
SPEAKS = """
import http.server, json, os, sys
from pathlib import Path
adapters, place = {}, Path(sys.argv[0]).parent
class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def do_GET(self):
        self.reply({})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/v1/load_lora_adapter":
            adapters[asked["lora_name"]] = asked["lora_path"]
        if not self.path.endswith("/completions"):
            return self.reply({})
        prompt = json.dumps(asked["messages"])
        if "poison" in prompt or ("once" in prompt and not (place / "died").exists()):
            (place / "died").touch()
            print("RuntimeError: the engine is dead.", flush=True)
            os._exit(1)
        if asked["model"] != "m" and asked["model"] not in adapters:
            return self.reply({"error": {"message": "unknown"}}, 404)
        text = "adapted" if asked["model"] in adapters else "plain"
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text},
                  "token_ids": [len(adapters)]}
        self.reply({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})
    def log_message(self, *_): pass
if (place / "broken").exists():
    print("ValueError: the card is gone."); sys.exit(1)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def test_one_that_ends_is_started_again_with_its_adapter(
    program: Callable[[str], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = VLLMServer(program(SPEAKS), [], 60)
    asked = ServerSettings(base_url=f"{ours.url}/v1", retries=0, max_wait=0.01)
    control, client = Control(f"{ours.url}/v1", "NONE", 20), OpenAIClient(f"{ours.url}/v1", retries=0)
    info = PolicyInfo("m", "1", "vllm", "", trainable=False)
    policy = VLLMServerPolicy(info, "m", client, control, asked, Limits(), str, True, ours)

    def ask(*prompts: str) -> list[str]:
        groups = policy.generate([Question(p, None, p, (), p) for p in prompts], Sampling())
        return [group.error or group.completions[0].text for group in groups]

    policy.take_adapter(tmp_path)
    *others, bad = ask("one", "once", "two", "poison")
    assert others == ["adapted"] * 3, "asked again, of a server that loaded the adapter again"
    assert policy.restarts == 2 and "the engine is dead" in caplog.text
    assert "ended twice when it was asked this (RuntimeError: the engine is dead)" in bad
    (tmp_path / "broken").touch()
    with pytest.raises(UserError, match=r"the vLLM server ended .*the card is gone"):
        ask("poison", "one")
    ours.log.unlink()


def test_one_that_ends_too_often_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here without processes: each question ends the server."""

    class Ending:
        starts, log, last_words = 0, Path("log"), "dead"

        def ended(self) -> bool:
            return True

        def restart(self) -> None:
            self.starts += 1

        def check(self) -> None:
            raise UserError("the vLLM server ended (dead)")

    def no_answer(*_: object) -> list[Group]:
        raise UserError("cannot reach the server")

    server = Ending()
    asked = ServerSettings(base_url="http://127.0.0.1:9/v1")
    control, client = Control(str(asked.base_url), "NONE", 1), OpenAIClient(str(asked.base_url))
    info = PolicyInfo("m", "1", "vllm", "", trainable=False)
    policy = VLLMServerPolicy(info, "m", client, control, asked, Limits(), str, True, server)  # type: ignore[arg-type]
    monkeypatch.setattr(APIPolicy, "generate", no_answer)
    with pytest.raises(UserError, match="ended"):
        policy.generate([Question(str(k), None, "", (), "") for k in range(20)], Sampling())
    assert server.starts == RESTARTS
