"""The headers, URLs and errors of the client that judges and the api backend share."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.openai_client import OpenAIClient, refuse_secrets, retry_after
from tests.openai_server import HANG_UP, OpenAIServer, completion, failure

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("nan", None), ("inf", None), ("soon", None), ("", None),
        ("Sat, 28 Nov 2026 09:01:30 GMT", 90.0), ("Sat, 28 Nov 2026 10:00:30 +0100", 30.0),
        ("Sat, 28 Nov 2026 08:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after(said: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": said}, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_none_or_a_time(said: str) -> None:
    found = retry_after({"retry-after": said}, NOW)
    assert found is None or found >= 0


@given(st.integers(0, 10**6))
def test_a_date_is_as_far_off_as_it_says(seconds: int) -> None:
    assert retry_after({"retry-after": format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)}, NOW) == seconds


@pytest.mark.parametrize(
    "url",
    ["http://user:hush@h/v1", "https://hush@h:1/v1", "http://h/v1?token=hush", "HTTP://a:hush@h", "http://h?hush"],
)
def test_a_url_with_a_secret_is_refused_without_printing_it(url: str) -> None:
    for settings in ({"judge": url}, {"model_args": {"base_url": url}}, {"model_args": f"base_url={url},seed=false"}):
        with pytest.raises(UserError, match=f"^{next(iter(settings))}: a run writes its settings down") as caught:
            refuse_secrets(settings)
        assert "hush" not in str(caught.value)


def test_other_settings_are_not_refused() -> None:
    args = {"base_url": "http://localhost:8000/v1", "note": "what? me@home", "other": "http://h:1/v1/"}
    refuse_secrets({"judge": None, "seed": 3, "model_args": args, "model": "a/b@c"})


@pytest.mark.parametrize(
    ("answer", "status", "transient", "mend"),
    [
        (failure(429, "x", retry_after="3"), 429, True, False), (failure(500, "x"), 500, True, False),
        (failure(400, "x"), 400, False, False), (failure(401, "x"), 401, False, True),
        (failure(429, "x", code="insufficient_quota"), 429, False, True), (HANG_UP, None, True, True),
        (completion("x", delay=0.5), None, True, False),
    ],
)  # fmt: skip
def test_what_an_outcome_says_of_an_error(answer: object, status: int | None, transient: bool, mend: bool) -> None:
    with OpenAIServer(lambda *_: answer) as server:  # type: ignore[arg-type,return-value]
        outcome = OpenAIClient(server.url, timeout=0.2, retries=0).chat(model="m", messages=[])
    assert (outcome.status, outcome.transient, bool(outcome.mend)) == (status, transient, mend)
    assert outcome.error and outcome.wait_s == (3.0 if status == 429 and transient else None)


def test_a_proxy_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", ":::")
    with pytest.raises(UserError, match=r"no client for the server can be made .*HTTP_PROXY"):
        OpenAIClient("http://127.0.0.1:9/v1")
