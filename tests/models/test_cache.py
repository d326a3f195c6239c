"""Encoded clips: once for each state of the tower, never beyond the bound, on the disk only where asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from audio_eval.models.backends import load_policy
from audio_eval.models.hf.cache import ClipCache, EncodedClip
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training
from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.execute import Executor
from tests.models.checkpoints import question
from tests.models.conftest import Built

CPU = torch.device("cpu")
SHORT = Sampling(max_tokens=2)


def clip(i: int, tokens: int = 5) -> EncodedClip:
    return EncodedClip(torch.full((tokens, 8), float(i)), float(i), i % 2 == 1)


def same(one: EncodedClip | None, other: EncodedClip) -> bool:
    return (
        one is not None
        and torch.equal(one.embeds, other.embeds)
        and one.seconds == other.seconds
        and one.truncated == other.truncated
    )


def cached(omni: Built, max_bytes: int, folder: Path | None = None, **others: int) -> HFPolicy:
    engine = EngineSettings(cache_gb=max_bytes / 2**30, cache_dir=folder and str(folder))
    return HFPolicy("omni", str(omni.folder), engine=engine, **others)  # type: ignore[arg-type]


# --- the cache alone -----------------------------------------------------------------------------------------------


def test_the_one_used_longest_ago_goes_first() -> None:
    cache = ClipCache(CPU, max_bytes=3 * 160)
    for i in range(3):
        cache.put((f"c{i}", "r"), clip(i))
    assert same(cache.get(("c0", "r")), clip(0))
    cache.put(("c3", "r"), clip(3))
    assert [(f"c{i}", "r") in cache for i in range(4)] == [True, False, True, True]
    assert cache.get(("c1", "r")) is None and cache.get(("c0", "another tower")) is None


@pytest.mark.parametrize("place", ["device", "host"])
def test_bytes_never_exceed_the_bound(place: str) -> None:
    cache = ClipCache(CPU, max_bytes=1000, place=place)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    for i in range(300):
        made = clip(i, int(rng.integers(1, 40)))  # some are larger than the bound by themselves
        cache.put((f"c{rng.integers(30)}", "r"), made)
        held = sum(c.embeds.nbytes for c in cache._clips.values())
        assert cache.bytes == held <= 1000
    assert len(cache) > 1


def test_what_must_go_is_written_and_read_back(tmp_path: Path) -> None:
    cache = ClipCache(CPU, max_bytes=160, folder=tmp_path)
    for i in range(3):
        cache.put((f"c{i}", "r"), clip(i))
    assert len(cache) == 1 and len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert ("c0", "r") in cache and same(cache.get(("c0", "r")), clip(0)) and cache.bytes == 160
    fresh = ClipCache(CPU, max_bytes=160, folder=tmp_path)
    assert same(fresh.get(("c1", "r")), clip(1)) and fresh.get(("c1", "other")) is None
    cache.put(("c4", "r+1"), clip(4))
    cache.put(("c5", "r"), clip(5))
    assert ("c4", "r+1") not in cache, "a tower that training changed is no other run's"


@pytest.mark.parametrize("damage", ["torn", "garbage", "empty", "flipped", "other tensor"])
def test_a_damaged_file_is_no_clip(tmp_path: Path, damage: str) -> None:
    cache = ClipCache(CPU, max_bytes=160, folder=tmp_path)
    for i in range(2):
        cache.put((f"c{i}", "r"), clip(i))
    [file] = tmp_path.rglob("*.safetensors")
    data = file.read_bytes()
    if damage == "other tensor":
        save_file({"x": load_file(file)["embeds"]}, file)
    else:
        spoiled = {"torn": data[:-9], "garbage": b"not it", "empty": b"", "flipped": data[:-1] + bytes([data[-1] ^ 1])}
        file.write_bytes(spoiled[damage])
    assert cache.get(("c0", "r")) is None and not file.exists()
    assert same(cache.get(("c1", "r")), clip(1))


# --- in the policy -------------------------------------------------------------------------------------------------


def test_a_small_cache_changes_no_answer(omni: Built, tmp_path: Path) -> None:
    asked = [question(i, 1.0) for i in range(6)]
    want = omni.policy().generate(asked, Sampling(max_tokens=4))
    each = 25 * 64 * 4
    small = cached(omni, 3 * each, batch_size=2)
    assert small.generate(asked, Sampling(max_tokens=4)) == want
    assert len(small.encoder.cache) == 3 and small.encoder.cache.bytes == 3 * each
    assert small.encoder.calls == 6
    assert small.generate(asked, Sampling(max_tokens=4)) == want and small.encoder.calls > 6
    none = cached(omni, 0)
    assert none.generate([asked[0], asked[0]], Sampling(max_tokens=4)) == [want[0], want[0]]
    assert none.encoder.calls == 1, "one batch hears a clip once even so"
    spilling = cached(omni, each, tmp_path)
    for _ in range(2):
        assert spilling.generate(asked, Sampling(max_tokens=4)) == want
    assert spilling.encoder.calls == 6
    for file in tmp_path.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:50])
    assert spilling.generate(asked, Sampling(max_tokens=4)) == want and spilling.encoder.calls == 12


@pytest.mark.parametrize("tune", ["lora", "full"])
def test_a_whole_adaptation_encodes_each_clip_once(tune: str, tmp_path: Path) -> None:
    executor = Executor()
    spec = RunSpec(
        model="tiny-omni", task="synth_aqa", method="aqa_ttrl", limit=12, batch_size=5, seed=0,
        method_args={"tune": tune, "votes": 8, "steps": 4, "batch_size": 4, "lr": 1e-3},
    )  # fmt: skip
    executor.run(spec, tmp_path / "run")
    policy = executor.loader.policy(spec)
    assert isinstance(policy, HFPolicy)
    task = executor.loader.task(spec)
    unique = {q.audio.digest() for q in task.questions if q.audio is not None}
    assert policy.encoder.calls == len(unique) == 12


def test_a_trained_tower_hears_anew_once_a_step(omni: Built) -> None:
    policy = omni.policy()
    asked = [question(i, 0.6) for i in range(3)]
    policy.begin_training(Training(tune="full", train_tower=True, lr=1e-3), seed=0)
    calls = []
    for _ in range(3):
        before = policy.encoder.calls
        for n in (4, 2):  # two rounds of rollouts under the same weights
            groups = policy.generate(asked, Sampling(n=n, temperature=1.0, max_tokens=4))
        calls.append(policy.encoder.calls - before)
        policy.train_step(groups, [np.linspace(-1, 1, len(g.counts)) + 0.1 for g in groups])
    assert calls == [3, 3, 3]
    fresh = omni.policy()
    fresh.model.load_state_dict(policy.model.state_dict())
    sampling = Sampling(max_tokens=6)
    assert fresh.generate(asked, sampling) == policy.generate(asked, sampling)


def test_a_loaded_state_is_another_tower(omni: Built, tmp_path: Path) -> None:
    training = Training(tune="full", train_tower=True, lr=3e-2)
    asked = [question(i, 0.6) for i in range(3)]
    policy = omni.policy()
    policy.begin_training(training, seed=0)
    policy.generate(asked, SHORT)
    policy.save(tmp_path / "start")
    groups = policy.generate(asked, Sampling(n=4, temperature=1.0, max_tokens=4))
    policy.train_step(groups, [np.linspace(-1, 1, len(g.counts)) + 0.1 for g in groups])
    moved = policy.generate(asked, Sampling(max_tokens=6))
    policy.load(tmp_path / "start")
    back = policy.generate(asked, Sampling(max_tokens=6))
    assert back == omni.policy().generate(asked, Sampling(max_tokens=6)) != moved


def test_reset_keeps_the_clips_of_a_frozen_tower() -> None:
    policy = load_policy("tiny-omni")
    assert isinstance(policy, HFPolicy)
    asked = [question(i, 0.6) for i in range(3)]
    policy.generate(asked, SHORT)
    policy.begin_training(Training(), seed=0)
    policy.reset()
    policy.generate(asked, SHORT)
    assert policy.encoder.calls == 3
