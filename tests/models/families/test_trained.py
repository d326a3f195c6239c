"""Adapters of a mixture of experts and of an unknown type are saved and merged; a whole run of aqa_ttrl's loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audio_eval.models.backends import load_policy
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.runs.execute import Executor
from tests.models.checkpoints import question
from tests.models.families.case import Case
from tests.models.families.checks import Built
from tests.models.families.flamingo import AUDIO_FLAMINGO
from tests.models.families.moss import GENERIC
from tests.models.families.qwen3_omni import INSTRUCT
from tests.models.training import advantages_of, groups_of, settings
from tests.runs.conftest import adapter, lines, make_spec


@pytest.mark.parametrize("case", [INSTRUCT, GENERIC], ids=lambda case: case.name)
def test_a_saved_adapter_is_merged_into_the_same_model(case: Case, tmp_path: Path) -> None:
    """peft names the targets in ways of its own for both: by bare names, and by a pattern that was found on loading."""
    if absent := case.absent():
        pytest.skip(absent)
    case.build(tmp_path / "checkpoint")
    policy = Built(case, tmp_path / "checkpoint").fresh()
    policy.begin_training(settings("lora", lr=3e-2), seed=1)
    groups = groups_of(policy, questions=[question(1, 0.4), question(3)])
    before = policy.logprobs(groups)
    policy.train_step(groups, advantages_of(groups))
    policy.save(tmp_path / "adapter")
    merged = load_policy(str(tmp_path / "checkpoint"), adapter=str(tmp_path / "adapter"))
    assert isinstance(merged, HFPolicy)
    for old, want, got in zip(before, policy.logprobs(groups), merged.logprobs(groups), strict=True):
        for a, b, c in zip(old.completions, want.completions, got.completions, strict=True):
            torch.testing.assert_close(torch.tensor(c.logprobs), torch.tensor(b.logprobs), rtol=1e-4, atol=1e-4)
            assert c.logprobs != pytest.approx(a.logprobs, abs=1e-3), "the step has changed something"


def test_the_loop_of_aqa_ttrl_runs_whole(tmp_path: Path) -> None:
    """With random rewards: a random model names no option that it could vote for."""
    AUDIO_FLAMINGO.build(tmp_path / "checkpoint")
    spec = make_spec(
        "random_reward", "tune=lora,group_size=4,steps=1", model=str(tmp_path / "checkpoint"), limit=4, max_tokens=4
    )
    Executor().run(spec, tmp_path / "run")
    assert len(lines(tmp_path / "run", "responses.jsonl")) == 4
    assert adapter(tmp_path / "run")
