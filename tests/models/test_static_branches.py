"""Token steps in shapes that repeat, captured and replayed: what is drawn, and who does without."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.models.hf import graphs as graphs_module
from audio_eval.models.hf.graphs import Graphs
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.hf.static_branches import Memory, bucket
from audio_eval.models.policy import Sampling, Training
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.replay import Recorder, Replay, with_graphs

ASKED = [question(1, 0.4), question(2, 1.3), question(3), question(4, 2.1), question(5, 0.2)]
VOTES = Sampling(n=16, temperature=1.0, max_tokens=18, stream="vote")


@given(st.integers(1, 10**6), st.sampled_from([1, 8, 64]))
def test_buckets(count: int, least: int) -> None:
    found = bucket(count, least)
    assert found >= count and (found == least or found < 2 * count)
    assert found % least == 0 and (found // least).bit_count() == 1


def test_the_same_is_drawn(built: Built) -> None:
    """With shapes alone, and captured: rows branch, end and leave questions behind, over several calls and lengths."""
    plain = built.policy()
    calls = [(ASKED, VOTES), (ASKED[2:], Sampling(max_tokens=9)), (ASKED[:2], VOTES.keyed("again")), (ASKED, VOTES)]
    want = [plain.generate(*call) for call in calls]
    static = HFPolicy("m", str(built.folder), engine=EngineSettings(static_shapes=True))
    assert [static.generate(*call) for call in calls] == want
    assert "cpu" in str(static.decoding.without_graphs) and static.decoding.graphs.captured == 0
    replayed = built.policy()
    graphs = with_graphs(replayed, Recorder())
    assert [replayed.generate(*call) for call in calls] == want
    assert graphs.replayed > 20 and graphs.captured < 16
    captured = graphs.captured
    replayed.generate(*calls[0])
    assert graphs.captured <= captured + 2, "the shapes come back"


def test_a_step_of_static_shapes_waits_for_nothing_and_allocates_no_result(built: Built) -> None:
    """All that a replay leaves behind is in memory that was there before."""
    policy, recorder = built.policy(), Recorder()
    with_graphs(policy, recorder)
    for _ in range(2):
        policy.generate(ASKED, VOTES)
    hidden, held = policy.decoding._memory._flat["hidden"], alive(recorder)
    assert held
    for made in held:
        assert made.operations is not None
        assert made.operations[-1][0] == torch.ops.aten.copy_.default
        assert made.operations[-1][1][0].data_ptr() == hidden.data_ptr()


# --- when graphs are freed -----------------------------------------------------------------------------------------


def alive(recorder: Recorder) -> list[Replay]:
    return [made for made in recorder.made if made.operations is not None]


def test_other_weights_have_other_graphs(omni: Built) -> None:
    """Weights that are written to are read anew by a replay; for weights at another address graphs are made anew."""
    policy, recorder = HFPolicy("m", str(omni.folder), engine=EngineSettings(merge_rollouts=True)), Recorder()
    with_graphs(policy, recorder)
    for _ in range(2):
        policy.generate(ASKED, VOTES)
    assert alive(recorder)
    policy.begin_training(Training(lr=0.01), seed=0)
    first = alive(recorder)
    groups = policy.generate(ASKED, VOTES)
    assert not [made for made in first if made.operations is not None], "merged weights lie elsewhere"
    policy.generate(ASKED, VOTES)
    policy.train_step(groups, [torch.linspace(-1, 1, len(group.counts)).numpy() for group in groups])
    kept = alive(recorder)
    after = policy.generate(ASKED, VOTES)
    assert after != groups and kept and all(made.operations is not None for made in kept)
    policy.decoding.graphs.drop()
    policy._prefills.drop()
    assert policy.generate(ASKED, VOTES) == after
    policy.reset()
    assert policy.decoding.graphs.reason is not None, "a new model has a decoding of its own"


def test_the_least_recently_used_is_freed(omni: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs_module, "MOST", 2)
    recorder, runs = Recorder(), []
    graphs = Graphs(recorder)
    for key in "aabbaacca":
        graphs.run(key, lambda: runs.append(torch.ones(1)))
    a, b, c = recorder.made
    assert (a.operations is None, b.operations is None, c.operations is None) == (False, True, False)
    assert len(runs) == 6, "each once as it is and once captured"
    assert (graphs.captured, graphs.replayed) == (3, 6)


@pytest.mark.parametrize(
    "failure", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("operation not permitted")]
)
def test_what_cannot_be_captured_runs_as_it_is(
    omni: Built, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    policy, plain = omni.policy(), omni.policy()
    with_graphs(policy, Recorder(fails=failure))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert policy.generate(ASKED, VOTES) == plain.generate(ASKED, VOTES)
    assert str(failure) in str(policy.decoding.without_graphs)
    assert len([r for r in caplog.records if "without CUDA graphs" in r.message]) == 1, "said once"


def test_memory_that_is_short_frees_the_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, zeros, failures = Recorder(), torch.zeros, [torch.OutOfMemoryError("CUDA out of memory")]

    def short(*args: object, **kwargs: object) -> torch.Tensor:
        if failures:
            raise failures.pop()
        return zeros(*args, **kwargs)  # type: ignore[call-overload]

    graphs = Graphs(recorder)
    for _ in range(2):
        graphs.run("a", lambda: None)
    memory = Memory(graphs, torch.device("cpu"))
    monkeypatch.setattr(torch, "zeros", short)
    assert memory.view("own", torch.float32, 2, 3).shape == (2, 3)
    assert graphs.reason is not None and not alive(recorder)


def test_memory_moves_only_when_it_grows() -> None:
    recorder = Recorder()
    graphs = Graphs(recorder)
    memory = Memory(graphs, torch.device("cpu"))
    first = memory.view("own", torch.float32, 4, 4)
    for _ in range(2):
        graphs.run("a", lambda: None)
    assert memory.view("own", torch.float32, 2, 3).data_ptr() == first.data_ptr() and alive(recorder)
    assert memory.view("own", torch.float32, 5, 5).shape == (5, 5) and not alive(recorder)


# --- who does without ----------------------------------------------------------------------------------------------


def test_the_reason_can_be_read(omni: Built, caplog: pytest.LogCaptureFixture) -> None:
    said = {
        "cuda_graphs=false": EngineSettings(cuda_graphs=False),
        "only CUDA has graphs": EngineSettings(),
        "cpu": EngineSettings(cuda_graphs=True),
    }
    for reason, engine in said.items():
        policy = HFPolicy("m", str(omni.folder), engine=engine)
        assert reason in str(policy.decoding.without_graphs)
    assert [r.message for r in caplog.records if "cuda_graphs=true" in r.message]


def test_weights_that_autocast_converts_are_not_captured(omni: Built) -> None:
    policy = HFPolicy("m", str(omni.folder), engine=EngineSettings(dtype="bfloat16"))
    recorder = Recorder()
    with_graphs(policy, recorder)
    assert policy.decoding.without_graphs is None
    policy.begin_training(Training(tune="full"), seed=0)
    policy.generate(ASKED[:2], VOTES)
    assert "autocast" in str(policy.decoding.without_graphs) and not recorder.made
