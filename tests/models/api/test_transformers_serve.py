"""A real OpenAI-compatible server, ``transformers serve``, that hears: its answers are those of the hf backend."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from audio_eval.cli.main import main
from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.policy import Sampling
from tests.models.api.conftest import served
from tests.models.checkpoints import build_qwen2_audio, question

pytest.importorskip("fastapi", reason="transformers serve needs fastapi")
pytest.importorskip("uvicorn", reason="transformers serve needs uvicorn")
pytestmark = pytest.mark.slow
WAIT_S = 180


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2-Audio's class and processor, tiny, with random weights."""
    folder = tmp_path_factory.mktemp("served") / "tiny-qwen2-audio"
    build_qwen2_audio(folder)
    return folder


@pytest.fixture(scope="module")
def url(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path_factory.mktemp("said") / "server.txt"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint), "--device", "cpu"]
    with said.open("w") as file:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=file, stderr=subprocess.STDOUT,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    try:
        until = time.monotonic() + WAIT_S
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (URLError, OSError):
                assert server.poll() is None and time.monotonic() < until, said.read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def test_it_answers_as_the_hf_backend_does(url: str, checkpoint: Path) -> None:
    """Greedy texts are equal with sound and without: it hears what was sent."""
    asked = [question(0, 3.0), question(1, 1.5), question(2), question(3, 0.7), question(0, 3.0, "What is heard?")]
    here = load_policy(str(checkpoint), Limits(max_tokens=12)).generate(asked, Sampling())
    policy = load_policy(str(checkpoint), Limits(max_tokens=12), "api", {"base_url": url})
    there = policy.generate(asked, Sampling())
    assert [group.best() for group in there] == [group.best() for group in here]
    assert [group.completions[0].finished for group in there] == [group.completions[0].finished for group in here]
    for group, local in zip(there, here, strict=True):
        assert group.audio_seconds == pytest.approx(local.audio_seconds, abs=0.02)
        assert group.usage is not None and group.usage.prompt_tokens > 50


def test_its_single_samples_make_up_a_group(url: str, checkpoint: Path) -> None:
    """It leaves ``n`` out of account, and takes a seed for each request."""
    policy = load_policy(str(checkpoint), Limits(max_tokens=8), "api", {"base_url": url})
    (group,) = policy.generate([question(0, 1.0)], Sampling(n=6, temperature=1.0, seed=0))
    assert group.size == 6 and len(group.completions) > 1 and group.usage is not None and group.usage.requests == 6


def test_a_run_on_it(url: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--backend", "api", "--model", str(checkpoint), "--model-args", f"base_url={url}", "--max-tokens", "4"]
    tasks = ["--tasks", "synth_aqa:validation", "--limit", "3", "--method", "direct,majority_vote"]
    assert main([*command, *tasks, "--method-args", "votes=2", "--json", "--output", str(tmp_path)]) == 0
    direct, vote = json.loads(capsys.readouterr().out)["rows"]
    assert (direct["n"], direct["samples"], vote["samples"]) == (3, 3, 6)
    assert "unreadable" not in direct["notes"] and "unreadable" not in vote["notes"]


def test_a_model_that_it_does_not_have_is_one_line(url: str) -> None:
    from audio_eval.errors import UserError

    policy = served(url, retries=0)
    with pytest.raises(UserError) as caught:
        policy.generate([question(i) for i in range(10)], Sampling())
    assert "\n" not in str(caught.value) and url in str(caught.value)
