"""Work ahead: in order, bounded, never hanging; and batches that are a function of the questions alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.hf.batches import cut_batches
from audio_eval.models.hf.families import base
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.prefetch import ahead
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling
from tests.models.checkpoints import question
from tests.models.conftest import Built


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not true() and time.monotonic() < until:
        time.sleep(0.005)
    return true()


def workers() -> int:
    return sum(thread.name == "audio-eval-prefetch" for thread in threading.enumerate())


# --- ahead ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_come_in_order(threads: int) -> None:
    def work(i: int) -> int:
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(ahead(range(40), work, lambda i: 1, 7, threads)) == [(i, i * i) for i in range(40)]
    assert list(ahead([], work, lambda i: 1, 7, threads)) == []
    assert eventually(lambda: workers() == 0)


def test_work_runs_ahead_as_far_as_the_bound() -> None:
    begun: list[int] = []
    stream = ahead(range(20), begun.append, lambda i: 2.0, 9.0, threads=2)
    assert next(stream) == (0, None)
    assert eventually(lambda: len(begun) == 5), "the one taken and four that weigh 8"
    time.sleep(0.05)
    assert sorted(begun) == list(range(5))
    stream.close()
    assert eventually(lambda: workers() == 0)


def test_an_item_above_the_bound_goes_alone() -> None:
    assert [i for i, _ in ahead([1, 50, 2, 60], lambda i: i, float, 10.0, threads=2)] == [1, 50, 2, 60]


@pytest.mark.parametrize("error", [ValueError("boom"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_in_a_thread_is_raised_where_its_item_is_due(error: BaseException) -> None:
    def work(i: int) -> int:
        if i == 3:
            raise error
        return i

    stream = ahead(range(100), work, lambda i: 1, 50, threads=2)
    assert [next(stream)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)):
        next(stream)
    assert eventually(lambda: workers() == 0)


def test_ctrl_c_does_not_wait_for_a_slow_recording() -> None:
    code = (
        "import time\nfrom audio_eval.models.hf.prefetch import ahead\n"
        "print('ready', flush=True)\n"
        "list(ahead([1, 2, 3], lambda i: time.sleep(600), lambda i: 1, 9, threads=2))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0 and b"KeyboardInterrupt" in errors


# --- batches -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 500), max_size=60), st.integers(1, 2000), st.integers(1, 9))
def test_batches_keep_the_budget(lengths: list[int], budget: int, most: int) -> None:
    batches = cut_batches(lengths, budget, most)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= most
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget
    flat = [lengths[i] for batch in batches for i in batch]
    assert flat == sorted(flat, reverse=True)


def test_expected_lengths_are_the_real_ones(built: Built) -> None:
    policy = built.policy()
    asked = [question(i, 0.1 + 0.377 * i) for i in range(9)] + [question(20), question(21, 31.0)]
    for one, prompt in zip(map(policy.encoder.ask, asked), policy.encoder.prompts(asked), strict=True):
        assert not isinstance(prompt, str)
        assert abs(one.tokens - len(prompt.embeds)) <= 1


def test_a_budget_changes_no_answer_and_no_order(built: Built) -> None:
    asked = [question(i, 0.3 + 0.2 * (i % 5)) for i in range(9)]
    sampling = Sampling(n=4, temperature=1.0, max_tokens=4)
    want = built.policy(batch_size=16).generate(asked, sampling)
    for budget in (1, 250, 400):
        policy = HFPolicy("m", str(built.folder), engine=EngineSettings(token_budget=budget))
        sizes: list[int] = []
        policy.model.model.language_model.register_forward_pre_hook(
            lambda m, a, k, sizes=sizes: sizes.append(len(k["inputs_embeds"]) if "inputs_embeds" in k else 0),
            with_kwargs=True,
        )
        assert policy.generate(asked, sampling) == want
        assert sum(sizes) == 9 and (budget > 1 or max(sizes) == 1)


# --- in the policy -------------------------------------------------------------------------------------------------


def threaded(built: Built) -> HFPolicy:
    """With threads, which a CPU has only when asked."""
    return HFPolicy("m", str(built.folder), batch_size=2, engine=EngineSettings(prefetch_threads=2))


def test_audio_is_prepared_while_the_model_runs(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = threaded(omni)
    asked = [question(i, 0.5) for i in range(6)]
    where: list[str] = []
    real = base.features_of

    def noting(*args: object) -> object:
        where.append(threading.current_thread().name)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(base, "features_of", noting)
    began: list[int] = []
    policy.model.model.language_model.register_forward_pre_hook(
        lambda *_: began.append(eventually(lambda: len(where) == 6) and len(where))
    )
    policy.generate(asked, Sampling(max_tokens=1))
    assert began[0] == 6, "all clips were ready before the first batch was done"
    assert set(where) == {"audio-eval-prefetch"}


def test_a_failure_is_its_questions_alone(omni: Built, tmp_path: Path) -> None:
    asked = [question(i, 0.5) for i in range(5)]
    broken = question(9, 0.5)
    broken = type(broken)("broken", AudioRef(path=str(tmp_path / "none.wav")), "", (), "?")
    groups = threaded(omni).generate([*asked[:2], broken, *asked[2:]], Sampling(max_tokens=3))
    assert [g.error is None for g in groups] == [True, True, False, True, True, True]
    assert groups[:2] + groups[3:] == omni.policy().generate(asked, Sampling(max_tokens=3))


def test_a_mistake_in_a_thread_names_the_question(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [question(i, 0.5) for i in range(5)]
    real = base.features_of

    def failing(audio: AudioRef, *args: object) -> object:
        if audio == asked[3].audio:
            raise MemoryError("too large")
        return real(audio, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(base, "features_of", failing)
    with pytest.raises(RuntimeError, match=r"question 'q3'.*too large"):
        threaded(omni).generate(asked, Sampling(max_tokens=1))
    assert eventually(lambda: workers() == 0)


def test_a_recording_that_vanishes_is_an_error_of_its_question(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was in the cache when a thread looked, and is gone from there and from the disk when it is needed."""
    policy, asked = omni.policy(), [question(1, 0.5)]
    policy.generate(asked, Sampling(max_tokens=1))
    monkeypatch.setattr(policy.encoder.cache, "get", lambda key: None)

    def gone(*_: object) -> None:
        raise AudioError("gone")

    monkeypatch.setattr(base, "features_of", gone)
    [group] = policy.generate(asked, Sampling(max_tokens=1))
    assert group.error == "gone"
