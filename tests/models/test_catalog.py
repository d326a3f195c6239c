"""Models by name, hub id, folder and revision; and recordings that are longer than a model's window."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.models.backends import Limits, choose, load_policy
from audio_eval.models.catalog import ModelEntry, find_model
from audio_eval.models.hf.families import FAMILIES, family_of
from audio_eval.models.hf.families.qwen2_audio import Qwen2Audio
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling
from audio_eval.plugins import named, registered
from audio_eval.questions import Question
from tests.models.conftest import Built

# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "source", "revision", "name"),
    [
        ("qwen2.5-omni-3b", "Qwen/Qwen2.5-Omni-3B", None, "qwen2.5-omni-3b"),
        ("qwen2.5-omni-3b@0123abc", "Qwen/Qwen2.5-Omni-3B", "0123abc", "qwen2.5-omni-3b@0123abc"),
        ("owner/model", "owner/model", None, "owner/model"),
        ("owner/model@v1.0", "owner/model", "v1.0", "owner/model@v1.0"),
        ("owner/model@refs/pr/3", "owner/model", "refs/pr/3", "owner/model@refs/pr/3"),
    ],
)
def test_names_and_revisions(model: str, source: str, revision: str | None, name: str) -> None:
    entry = find_model(model)
    assert (entry.source, entry.revision, entry.name) == (source, revision, name)
    assert entry.preset == find_model(model.partition("@")[0]).preset


def test_a_folder_with_an_at_in_its_name_is_a_folder(tmp_path: Path) -> None:
    for folder in (tmp_path / "model@2", tmp_path / "me@home" / "model"):
        folder.mkdir(parents=True)
        entry = find_model(str(folder))
        assert (entry.source, entry.revision, entry.name) == (str(folder), None, folder.name)
    for path in ("./no@where/model", "/no@where/model", "~/no@where/model"):
        assert (find_model(path).source, find_model(path).revision) == (path, None)
    with pytest.raises(UserError, match=r"it is in a folder, which has no revisions; leave '@main' out"):
        find_model(f"{tmp_path}/model@2@main")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("qwen2.5-omni-3b@", r"a commit, branch or tag is missing behind the '@'"),
        ("qwen2.5-omni-3c@main", r"unknown model 'qwen2\.5-omni-3c'.*Did you mean 'qwen2\.5-omni-3b'"),
        ("@main", r"unknown model '@main'"),
        ("tiny-omni@main", r"it is in a folder, which has no revisions"),
    ],
)
def test_mistakes_in_names(model: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        find_model(model)


def test_two_revisions_are_a_mistake() -> None:
    assert choose("owner/model@v1", model_args={"revision": "v1"}).entry.revision == "v1"
    assert choose("owner/model", model_args={"revision": "v2"}).entry.revision == "v2"
    with pytest.raises(UserError, match=r"'owner/model@v1' and --model-args revision=v2 name two revisions"):
        choose("owner/model@v1", model_args={"revision": "v2"})


def test_a_revision_reaches_the_hub(monkeypatch: pytest.MonkeyPatch, built: Built, tmp_path: Path) -> None:
    """The snapshot of that revision is what is loaded, and its commit is the result's revision."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = Path(shutil.copytree(built.folder, tmp_path / "snapshots" / commit))
    asked = []

    def download(source: str, revision: str | None = None, **_: object) -> str:
        asked.append((source, revision))
        return str(snapshot)

    monkeypatch.setattr("audio_eval.models.hf.checkpoint.snapshot_download", download)
    policy = load_policy("owner/model@v1.0")
    assert asked == [("owner/model", "v1.0")]
    assert (policy.info.name, policy.info.revision) == ("owner/model@v1.0", commit)


def test_the_windows_of_the_catalog_are_the_families() -> None:
    """Each named checkpoint's model type is that of its family's; where nothing is published, none is named."""
    types = {
        "tiny-omni": "qwen2_5_omni_thinker", "qwen2.5-omni-3b": "qwen2_5_omni", "qwen2.5-omni-7b": "qwen2_5_omni",
        "qwen2-audio-7b-instruct": "qwen2_audio", "audio-flamingo-3": "audioflamingo3",
        "music-flamingo": "musicflamingo", "voxtral-mini-3b": "voxtral", "granite-speech-3.3-2b": "granite_speech",
        "granite-speech-3.3-8b": "granite_speech", "granite-speech-4.1-2b-plus": "granite_speech_plus",
        "phi-4-multimodal-instruct": "phi4_multimodal",
        "gemma-3n-e2b-it": "gemma3n", "gemma-3n-e4b-it": "gemma3n",
        "gemma-4-e2b-it": "gemma4", "gemma-4-e4b-it": "gemma4", "glm-asr-nano-2512": "glmasr",
    }  # fmt: skip
    for name in set(types) & set(registered("models")):
        entry = named("models", "model", name)
        assert isinstance(entry, ModelEntry)
        assert entry.window == family_of(types[name], name).max_seconds, name
    assert {family.max_seconds for family in FAMILIES} >= {30.0, 300.0}


# --- recordings beyond the window ------------------------------------------------------------------------------------


def recording(samples: np.ndarray) -> AudioRef:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype="FLOAT")
    return AudioRef(data=file.getvalue())


def asked(seconds: float) -> Question:
    audio = recording(np.random.default_rng(0).normal(0, 0.1, int(seconds * 16_000)))
    return Question("q", audio, "What?", ("a dog", "a bell"), "Which sound is heard first?")


def test_a_recording_beyond_the_window(qwen2_audio: Built) -> None:
    """cut hears the beginning and says so; skip gives an empty group with the reason; at 30.0 s both are the same."""
    whole, long = replace(asked(30.0), id="whole"), replace(asked(30.1), id="long")
    policies = {how: load_policy(str(qwen2_audio.folder), Limits(long_audio=how)) for how in ("cut", "skip")}
    cut = policies["cut"].generate([whole, long], Sampling(max_tokens=2))
    assert [(g.truncated, g.error, g.size) for g in cut] == [(False, None, 1), (True, None, 1)]
    kept, skipped = policies["skip"].generate([whole, long], Sampling(max_tokens=2))
    assert kept == cut[0]
    assert (skipped.size, skipped.truncated) == (0, False)
    assert "30.1 s, and the model hears 30 s; --long-audio cut" in (skipped.error or "")


def test_a_recording_heard_in_parts(qwen2_audio: Built) -> None:
    """chunk is the question about the parts as recordings of their own, in order, and nothing is lost at the cuts."""
    long, short = asked(75.0), replace(asked(3.0), id="short")
    policy = load_policy(str(qwen2_audio.folder), Limits(long_audio="chunk"))
    assert isinstance(policy, HFPolicy)
    wave, sampling = long.audios[0].load(), Sampling(n=4, max_tokens=3)
    parts = [wave[at : at + 30 * 16_000] for at in range(0, len(wave), 30 * 16_000)]
    assert [len(part) for part in parts] == [480_000, 480_000, 240_000]
    (heard, as_before), alone = policy.generate([long, short], sampling), load_policy(str(qwen2_audio.folder))
    (whole,) = alone.generate([long.hearing([recording(part) for part in parts])], sampling)
    assert heard == replace(whole, question=long)
    assert (heard.truncated, heard.error, round(heard.audio_seconds or 0)) == (False, None, 75)
    assert as_before == alone.generate([short], sampling)[0]
    assert policy.prompt_length(long).audio == 750 + 750 + 375


def test_a_model_of_one_recording_hears_no_parts(qwen2_audio: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Qwen2Audio, "max_clips", 1)
    policy = load_policy(str(qwen2_audio.folder), Limits(long_audio="chunk"))
    long, short = policy.generate([asked(31.0), replace(asked(3.0), id="short")], Sampling(max_tokens=1))
    assert "2 recordings: Qwen2-Audio takes one recording" in (long.error or "") and not short.error


def test_a_clip_in_the_cache_is_skipped_all_the_same(qwen2_audio: Built, tmp_path: Path) -> None:
    args = {"cache_dir": str(tmp_path), "cache_gb": 0}
    for how in ("cut", "skip"):
        policy = load_policy(str(qwen2_audio.folder), Limits(long_audio=how), model_args=args)
        (group,) = policy.generate([asked(31.0)], Sampling(max_tokens=1))
        assert (group.error is None) == (how == "cut")
