"""No secret in what is written or printed, however it came into a setting, a message or a command line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval import redact
from audio_eval.errors import UserError
from audio_eval.openai_client import refuse_secrets
from audio_eval.redact import SECRET, redacted, redacted_text, remember, without_known
from audio_eval.runlog import RunLog, RunSpec
from audio_eval.runlog.records import Environment, Notes
from audio_eval.runlog.spec import same_run
from audio_eval.store import JsonLines, write_json
from audio_eval.terminal import say, say_json

HUSH = "hush0hush1hush2"
TEXTS = [
    f"https://user:{HUSH}@host/v1", f"https://user:{HUSH}@{HUSH}@host/v1", f"https://{HUSH}@host:8/v1",
    f"https://u:{HUSH}/{HUSH}@host/v1", f"postgresql+psycopg://u:{HUSH}@db/x", f"HTTP://u:{HUSH}@H",
    f"http://host/v1?x=1&sig={HUSH}", f"http://host?{HUSH}", f"api_key={HUSH}", f"OPENAI_API_KEY: {HUSH}",
    f'{{"access_token": "{HUSH}"}}', f"password='{HUSH}'", f"Authorization: Bearer {HUSH}", f"bearer {HUSH}",
    f"hf_{'a1' * 10}{HUSH}", f"sk-proj-{HUSH}{HUSH}", f"ghp_{HUSH}{HUSH}", f"github_pat_{HUSH}{HUSH}",
    f"glpat-{HUSH}{HUSH}", f"gsk_{HUSH}{HUSH}", f"nvapi-{HUSH}{HUSH}", f"AIza{HUSH}{HUSH}{HUSH}",
    f"AKIA{HUSH}{HUSH}", f"xoxb-{HUSH}", f"eyJ{HUSH}.{HUSH}.{HUSH}",
    f"Authorization: Basic {HUSH}", f"authorization: AWS4 Credential=x, Signature={HUSH}",
    f"Set-Cookie: sid={HUSH}; Path=/", f"unknown: --hf-token {HUSH}", f'"api_key": ["{HUSH}"]',
    f'{{\\"api_key\\": \\"{HUSH}\\"}}', f"{{b'token': b'{HUSH}', b'x': 1}}",
    f"password='two words {HUSH}'", f"api key: {HUSH}", f"API key provided: {HUSH}", f"passphrase => {HUSH}",
    f"api_key%3D{HUSH}", f"https%3A%2F%2Fuser%3A{HUSH}%40host", f"https://h/cb#access={HUSH}", f"wss://h?t={HUSH}",
    f"//u:{HUSH}@host/x", f"http_proxy=u:{HUSH}@proxy:3128", f"x=1,key={HUSH}", f"accessToken: {HUSH}",
    f"AccountKey={HUSH};", f"db_pwd={HUSH}", f"OPENAI_API_KEY_2={HUSH}", f"X-Amz-Signature={HUSH}",
    f"sk_live_{HUSH}{HUSH}", f"https://hooks.slack.com/services/T0/B0/{HUSH}",
    f"http://u:{HUSH}@[::1]:80/v1", f"bearer\n{HUSH}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{HUSH}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{HUSH}-{HUSH}\n-----END PGP PRIVATE KEY BLOCK-----",
    f"ASIA{'A1' * 8} password is {HUSH}", f"Basic {HUSH}=", f"gldt-{HUSH}{HUSH}", f"xapp-1-{HUSH}",
    f"xoxe.xoxp-1-{HUSH}",
    f"GOCSPX-{HUSH}{HUSH}", f"SG.{HUSH}{HUSH}.{HUSH}{HUSH}", f"dop_v1_{HUSH}{HUSH}", f"shpat_{HUSH}{HUSH}",
    f"sq0csp-{HUSH}{HUSH}", f"whsec_{HUSH}{HUSH}", f"pypi-{HUSH}{HUSH}{HUSH}", f"dckr_pat_{HUSH}{HUSH}",
    f"hvs.{HUSH}{HUSH}", f"lin_api_{HUSH}{HUSH}", f"ATATT3x{HUSH}{HUSH}", f"figd_{HUSH}{HUSH}", f"tvly-{HUSH}{HUSH}",
    f"https://discord.com/api/webhooks/12/{HUSH}", f"https://api.telegram.org/bot1:{HUSH}/x",
    f"12345678:AA{HUSH}{HUSH}",
    f"pw={HUSH}", f"pwd: {HUSH}", f"passcode: {HUSH}", f"sessionid={HUSH}", f"api_key: |\n  {HUSH}",
    f"- name: API_KEY\n  value: {HUSH}", f'<add key="ApiKey" value="{HUSH}"/>', f"<password>{HUSH}</password>",
    f"setx API_KEY {HUSH}", f"api%5Fkey={HUSH}", f"%22token%22%3A%22{HUSH}%22", f"token -> {HUSH}",
    f"token\uff1a{HUSH}",
    f"the key is {HUSH}{HUSH}", f'"key": "{HUSH}{HUSH}"', f"token is {HUSH}", f"my token {HUSH}", f"secret is '{HUSH}'",
    f"the secret key is {HUSH}", f"your API key ({HUSH}) is invalid", f"invalid API key {HUSH}", f"password\t{HUSH}",
    f'api key "{HUSH}" not found', f'("token", "{HUSH}")', f"curl -u user:{HUSH} h", f"login u password {HUSH}",
    f'Authorization: Digest username="u", response="{HUSH}"',
]  # fmt: skip
PLAIN = [
    "max_tokens=64", "votes=8,steps=3", "Qwen/Qwen2.5-Omni-3B@refs/pr/7", "examples/mine.py:Mine", "https://host/v1",
    "http://localhost:8000/v1/models@home", "the key: C major", "monkey: brown", "keys and tokens", "what? me@home",
    "http://localhost:8000/v1", "12:30@home", "a model: x@main", "monkeyKeys=3", "eos_tokens: 3", "key signature of C",
    "its key is read from OPENAI_API_KEY", "risk-averse-and-very-long-word", "judge_model=gpt-4o-mini",
    "the secret is out since 1999", "password is required", "the key is in measure 12", "the key is C# minor, 4/4 time",
    "Basic responsibilities in 2024", "basic characteristics of sound", "the keys are 'id', 'token', 'answer'",
    "What secret instrument-number-42 plays?", "token Qwen/Qwen2.5-Omni-3B", "pass=0.5", "asianpacificregion2024",
    "signature synth_aqa-1.0-0f1c3909 differs", "Which password did he say at 12:30?", "a cookie jar-number-2 rattles",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_what_goes(text: str) -> None:
    assert HUSH not in redacted_text(f"before {text} after")
    assert redacted_text(redacted_text(text)) == redacted_text(text)


@pytest.mark.parametrize("text", PLAIN)
def test_what_stays(text: str) -> None:
    assert redacted_text(text) == text
    refuse_secrets({"model": text, "model_args": {"x": [text]}})


@pytest.mark.parametrize("text", TEXTS)
def test_as_a_setting_it_is_refused(text: str) -> None:
    for given_settings in ({"judge_model": text}, {"model_args": {"base_url": text}}, {"method_args": f"a=1,b={text}"}):
        with pytest.raises(UserError, match="a run writes its settings down") as caught:
            refuse_secrets(given_settings)
        assert HUSH not in str(caught.value)


@pytest.mark.parametrize("name", ["api_key", "token", "my.password", "HF_TOKEN"])
def test_a_setting_of_such_a_name_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="a run writes its settings down"):
        refuse_secrets({"model_args": {name: "x"}})


@settings(max_examples=25)
@given(st.recursive(st.none() | st.integers() | st.floats(allow_nan=False), st.lists))
def test_what_holds_no_text_stays(value: object) -> None:
    assert redacted(value) == value


def test_a_list_of_texts_is_a_secret_too_and_figures_of_a_group_called_key_are_none() -> None:
    assert redacted({"api_key": [HUSH], "accessToken": HUSH}) == {"api_key": SECRET, "accessToken": SECRET}
    groups = {"task": {"key": {"n": 3, "accuracy": 50.0}, "token": 2.5}}
    assert redacted(groups) == groups


def test_the_password_of_a_proxy_is_known_and_what_a_url_spells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pro%2Fxy-hush@proxy:3128")
    monkeypatch.setenv("SOME_API_KEY", "hush/hush+hush=")
    monkeypatch.setenv("PWD", "/a/folder")
    assert without_known("/a/folder/x") == "/a/folder/x"
    said = without_known("pro%2Fxy-hush, pro/xy-hush at https://h/?k=hush%2Fhush%2Bhush%3D")
    assert "hush" not in said


def test_no_text_takes_long() -> None:
    began = time.process_time()
    for text in (
        "a://",
        "a:",
        "api_key",
        "--a-",
        "a.b-",
        "%3A%2F%2F",
        "cookie:",
        "api_key='",
        "aKey",
        "http://u:",
        "key: a",
        "token is ",
        "name: token ",
        "basic aa",
        "-----BEGIN PRIVATE KEY-----",
        "<token>",
        "a1" * 99,
    ):
        redacted_text(text * (20_000 // len(text)))
    assert time.process_time() - began < 3


def test_what_follows_a_flag_goes() -> None:
    command = ["audio-eval", "--api-key", HUSH, "--token", HUSH, f"--judge=https://u:{HUSH}@h/v1", "--limit", "3"]
    assert redacted(command) == [
        "audio-eval", "--api-key", SECRET, "--token", SECRET, "--judge=https://h/v1", "--limit", "3",
    ]  # fmt: skip


def test_known_values_go_from_data_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", 'q"uote\\9')
    monkeypatch.setattr(redact, "_remembered", set())
    remember("per%2Fcent-99", None, "short")
    record = {"id": "1", "response": 'they said q"uote\\9 and per/cent-99, short sk-abcdefghijklmnopqrstu'}
    JsonLines(tmp_path / "x.jsonl").append([record])
    write_json(tmp_path / "x.json", record)
    for read in (JsonLines(tmp_path / "x.jsonl").read()[0], json.loads((tmp_path / "x.json").read_text())):
        assert read["response"] == f"they said {SECRET} and {SECRET}, short sk-abcdefghijklmnopqrstu"
    assert without_known("nothing") == "nothing"


SPEC = RunSpec(
    model=f"https://u:{HUSH}@h/m", method="direct", method_args={"judge_url": f"http://h/v1?k={HUSH}", "steps": 3},
    task="t", judge=f"https://{HUSH}@h/v1", judge_model=f"sk-{HUSH}{HUSH}", model_args={"api_key": HUSH},
    prompt_source="Answer token: {{ question }}",
)  # fmt: skip


def test_nothing_of_it_reaches_a_run_directory(tmp_path: Path) -> None:
    """Also where the spec was made in Python, and nobody refused it."""
    log = RunLog(tmp_path)
    log.write_spec(SPEC)
    log.write_environment(
        Environment(
            started="now",
            command=["audio-eval", "--judge", f"https://u:{HUSH}@h", "--token", HUSH],
            python="3",
            platform="x",
            packages={},
            commit=None,
            device="cpu",
            threads=1,
        )
    )
    log.write_notes(Notes.model_validate({"unreadable": {"1": f"failed at http://h?{HUSH}"}}))
    assert HUSH not in "".join(path.read_text() for path in tmp_path.iterdir())
    written = log.spec()
    assert isinstance(written, RunSpec) and written.method_args["steps"] == 3
    assert written.prompt_source == SPEC.prompt_source, "the wording is no setting"
    assert same_run(written, SPEC) and not same_run(written, SPEC.model_copy(update={"seed": 1}))


def test_nothing_of_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for text in TEXTS:
        say(text, err=True)
        say_json({"text": text, "list": [text]})
    printed = capsys.readouterr()
    assert HUSH not in printed.out + printed.err


def test_nothing_of_it_reaches_a_tracker(tmp_path: Path) -> None:
    from audio_eval.trackers import Tracking

    told: list[Any] = []
    tracker = type("T", (), {
        "begin": lambda self, run: told.append(run), "log": lambda *_: None, "finish": lambda *_: None,
        "close": lambda *_: None,
    })  # fmt: skip
    with Tracking({"t": tracker}, tmp_path, "t", SPEC.model_dump(mode="json"), pytest.fail).sitting(lambda: ()):  # type: ignore[dict-item, arg-type]
        pass
    assert HUSH not in repr(told) and told[0].spec["method_args"]["steps"] == 3
