"""direct on a scripted policy."""

from __future__ import annotations

from pathlib import Path

from tests.methods.scripted import QUESTIONS, adapt, make, script, texts
from tests.rl.fake_policy import FakePolicy


def test_direct_is_one_greedy_response_a_question(tmp_path: Path) -> None:
    method, policy = make("direct"), FakePolicy(script)
    adapt(method, tmp_path, policy)
    assert policy.asked == [] and policy.trained == []
    assert texts(method.predict(policy, QUESTIONS)) == [f"greedy {question.id}" for question in QUESTIONS]
    assert {(sampling.n, sampling.temperature) for _, sampling in policy.asked} == {(1, 0.0)}
