"""Whole runs with ``--backend api`` against a local server: scores, cost, what is on the disk, resume, refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audio_eval.cli.main import main
from audio_eval.leaderboard import aggregate, load_runs, task_table
from audio_eval.runlog import RunLog
from tests.models.api.test_policy import USAGE
from tests.openai_server import Answer, OpenAIServer, completions, failure, sound

KEY = "sk-very-secret-1234"
TASK = ["--tasks", "synth_aqa:validation", "--limit", "12", "--batch-size", "4"]
LISTED = {"id": "served", "object": "model", "created": 1, "owned_by": "vllm", "root": "org/weights", "permission": [1]}
ASK = ["--backend", "api", "--model", "served", *TASK]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def first_option(request: dict, _: int = 0) -> Answer:
    return completions(["<answer>A</answer>"] * request.get("n", 1), USAGE)


def run(url: str, out: Path, *flags: str, args: str = "") -> int:
    settings = f"base_url={url},max_wait=0.02,retries=2{args}"
    command = [
        "--backend",
        "api",
        "--model",
        "served",
        "--model-args",
        settings,
        *TASK,
        "--json",
        "-o",
        str(out),
        *flags,
    ]
    sys.argv = ["audio-eval", *command]  # env.json records it
    return main(command)


def rows(capsys: Capture) -> list[dict[str, Any]]:
    return json.loads(capsys.readouterr().out)["rows"]


def test_a_server_is_scored_like_any_other_model(tmp_path: Path, capsys: Capture) -> None:
    flags = ["--method", "direct,majority_vote", "--method-args", "votes=4"]
    with OpenAIServer(first_option, [LISTED]) as server:
        assert run(server.url, tmp_path, *flags, args=",price_in=2,price_out=10") == 0
        direct, vote = rows(capsys)
        asked = len(server.requests)
        assert run(server.url, tmp_path, *flags, args=",price_in=2,price_out=10") == 0
        again = rows(capsys)
    assert again == [direct, vote] and len(server.requests) == asked == 24, "a finished run asks nothing"
    assert (direct["model"], direct["n"], direct["samples"], vote["samples"]) == ("served", 12, 12, 48)
    assert direct["usage"] | {"cost": None} == {
        "requests": 12, "prompt_tokens": 1200, "completion_tokens": 84, "audio_tokens": 720, "untold": 0, "cost": None,
    }  # fmt: skip
    assert direct["usage"]["cost"] == pytest.approx((1200 * 2 + 84 * 10) / 1e6)
    assert vote["usage"]["requests"] == 12, "the votes on a question are one request"
    assert all(sound(request) is not None for request in server.requests)
    identity = json.loads((Path(direct["run"]) / "identity.json").read_text())
    assert dict(identity["model"]) == {
        "server": server.url, "served as": "served", "/models id": '"served"', "/models object": '"model"',
        "/models owned_by": '"vllm"', "/models root": '"org/weights"',
    }  # fmt: skip


def test_another_model_behind_the_same_name_is_another_run(tmp_path: Path, capsys: Capture) -> None:
    listed = dict(LISTED)
    with OpenAIServer(first_option, [listed]) as server:
        assert run(server.url, tmp_path) == 0
        listed["created"] = 2
        assert run(server.url, tmp_path) == 0
        listed["root"] = "other/weights"
        assert run(server.url, tmp_path) == 1
    assert "is not the same run: the model changed (/models root)" in capsys.readouterr().err


@pytest.mark.parametrize("audio", ["silence", "none"])
def test_an_ablation_reaches_the_server(audio: str, tmp_path: Path) -> None:
    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path, "--audio", audio) == 0
    heard = [sound(request) for request in server.requests]
    if audio == "none":
        assert heard == [None] * 12
    else:
        assert all(found and not any(found[0][44:]) for found in heard)


def test_no_secret_is_written_or_printed(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server echoes the key wherever it can; the URL has a user, a password and a query."""
    answers: list[Callable[[dict], Answer]] = [
        first_option, lambda _: completions([f"the key is {KEY}, the password hushhush"]),
        lambda _: failure(400, f"refused for {KEY} at hushhush"),
    ]  # fmt: skip
    listed = LISTED | {"root": f"{KEY}/hushhush"}
    with OpenAIServer(lambda request, number: answers[number % 3](request), [listed]) as server:
        secret_url = server.url.replace("://", "://someone:hushhush@") + "?token=tokentoken"
        monkeypatch.setenv("OPENAI_BASE_URL", secret_url)
        assert run(secret_url, tmp_path) == 1, "a setting is written down, so it is refused"
        assert not list(tmp_path.iterdir())
        command = [*ASK, "-o", str(tmp_path), "--json", "--max-errors", "100%"]
        sys.argv = ["audio-eval", *command]
        assert main(command) == 0
        assert main(["resume", str(next(tmp_path.iterdir()))]) == 0
    printed = capsys.readouterr()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    everything = "".join([printed.out, printed.err, *(path.read_text("utf-8", "replace") for path in files)])
    assert len(files) >= 8 and "[key]" in everything and server.url in everything
    for secret in (KEY, "hushhush", "tokentoken", "someone"):
        assert secret not in everything


def test_a_run_whose_server_dies_goes_on_where_it_stopped(tmp_path: Path, capsys: Capture) -> None:
    """Batches that were whole are not asked again; what the run then has is what an undisturbed one has."""
    alive = [False]

    def dying(request: dict, number: int) -> Answer:
        return first_option(request) if alive[0] or number < 6 else failure(503, "engine is dead")

    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path / "whole") == 0
        whole = rows(capsys)[0]
    with OpenAIServer(dying) as server:
        assert run(server.url, tmp_path / "cut") == 1
        assert "engine is dead" in capsys.readouterr().err.splitlines()[-1]
        (folder,) = (tmp_path / "cut").iterdir()
        kept = [response.id for response in RunLog(folder).responses.read()]
        alive[0], asked = True, len(server.requests)
        assert run(server.url, tmp_path / "cut") == 0
        found = rows(capsys)[0]
        # A try of the stopped run may still arrive, but it is of a question that has to be asked anyway.
        again = {str(request["messages"]) for request in server.requests[asked:] if "input_audio" in str(request)}
        assert len(again) == 8
    assert len(kept) == 4
    same = ("accuracy", "n", "unparsable", "samples", "usage", "notes")
    assert {key: found[key] for key in same} == {key: whole[key] for key in same} and found["notes"] == {}
    responses = [[r.response for r in RunLog(row["run"]).responses.read()] for row in (whole, found)]
    assert responses[0] == responses[1] == ["<answer>A</answer>"] * 12


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("aqa_ttrl", "method 'aqa_ttrl' trains, and backend 'api' can only generate"),
        ("choice_likelihood", "'served' can only generate: a method that scores given completions"),
    ],
)
def test_what_a_server_cannot_do_is_refused(method: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path, "--method", method) == 1
    assert said in capsys.readouterr().err.splitlines()[-1] and not server.requests
    assert not list(tmp_path.rglob("responses.jsonl"))


def test_a_dry_run_asks_nothing(tmp_path: Path, capsys: Capture) -> None:
    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path, "--dry-run") == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert plan["answers"] == 12 and "a dry run asks it nothing" in plan["not_known"]["time"] and not server.requests


def test_a_missing_server_leaves_nothing_behind(tmp_path: Path, capsys: Capture) -> None:
    with OpenAIServer(first_option) as server:
        pass
    assert run(server.url, tmp_path) == 1
    assert "is the server running?" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_question_that_fails_is_named_and_counted_as_wrong(tmp_path: Path, capsys: Capture) -> None:
    bad: list[bytes] = []

    def script(request: dict, _: int) -> Answer:
        heard = sound(request)
        assert heard is not None
        bad.extend([heard[0]] if not bad else [])
        return failure(400, "audio too long") if heard[0] in bad else first_option(request)

    with OpenAIServer(script) as server:
        assert run(server.url, tmp_path, "--max-errors", "1") == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)["rows"]
    assert row["n"] == 12 and list(row["notes"]["unreadable"].values()) == ["Error code: 400 - audio too long"]
    assert "counted as wrong" in captured.err


METHOD = """
from audio_eval import Method
from audio_eval.models.policy import Sampling

class Asks(Method):
    name = "asks"

    def adapt(self, policy, questions, run):
        run.generate("votes", policy, questions, Sampling(n=2, temperature=1.0, seed=self.seed))
"""


def test_what_an_adaptation_asks_is_counted_too(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "asks.py"
    file.write_text(METHOD)
    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path / "runs", "--method", f"{file}:Asks", args=",price_in=1") == 0
    (row,) = rows(capsys)
    assert (row["samples"], row["usage"]["requests"], row["usage"]["prompt_tokens"]) == (36, 24, 2400)
    assert row["usage"]["cost"] == pytest.approx(2400 / 1e6) and "adapt_usage" not in row["notes"]


def test_tokens_stand_in_the_sources_of_the_leaderboard(tmp_path: Path) -> None:
    with OpenAIServer(first_option) as server:
        assert run(server.url, tmp_path / "runs") == 0
    page = task_table(aggregate(load_runs([next((tmp_path / "runs").iterdir())])[0]))
    assert "usage requests=12, prompt_tokens=1200, completion_tokens=84, audio_tokens=720" in page
