"""What a page says that the model heard is what the run gave it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioError, AudioRef
from audio_eval.clips import Heard, Hearing
from audio_eval.clips.hearing import CHANGED, NOT_OWN, told
from audio_eval.edits import AudioEdit
from audio_eval.methods.view_ttrl import ViewTtrl
from audio_eval.rl.labels import ballots
from audio_eval.runlog import ResponsesSpec, RunLog, RunSpec, Sample
from audio_eval.runlog.records import ResponseRecord
from audio_eval.runs import own
from audio_eval.runs.inputs import Loader, question_records
from audio_eval.runs.own import MOST, may_be_heard, remember_folders, remember_read

TASK, ITEMS = "synth_aqa:validation", 6


@pytest.fixture(scope="module")
def loader() -> Loader:
    """Keeps the task loaded."""
    return Loader()


@pytest.fixture(autouse=True)
def nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "cache_root", lambda: tmp_path / "cache")


class Begun:
    """A run directory as it is once its questions are written, and the questions as the run asks them."""

    def __init__(self, folder: Path, loader: Loader, **flags: Any) -> None:
        self.spec = RunSpec(**{"model": "tiny-omni", "method": "direct", "method_args": {}, "task": TASK,
                               "limit": ITEMS, "seed": 3, **flags})  # fmt: skip
        self.log, self.inputs = RunLog(folder), loader.inputs(self.spec)
        self.log.write_spec(self.spec)
        self.log.questions.keep(question_records(self.inputs.recorded, self.spec.audio, self.spec.seed))
        remember_read(self.spec, self.inputs.recorded.questions)

    def rewrite(self, **changes: Any) -> None:
        self.log.questions.keep([record.model_copy(update=changes) for record in self.log.questions.read()])

    def samples(self) -> list[Sample]:
        return list(self.log.samples())

    def heard(self) -> list[list[Heard]]:
        hearing = Hearing(self.log)
        return [hearing.of(sample) for sample in self.samples()]


def same(audio: AudioRef | None, asked: AudioRef | None) -> bool:
    return audio is not None and asked is not None and (audio.load() == asked.load()).all()


def test_a_run_without_an_arm_heard_the_recordings(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader)
    for [original], question in zip(run.heard(), run.inputs.scored_on, strict=True):
        assert original.label == "original" and original.note is None and same(original.audio, question.audio)


@pytest.mark.parametrize("arm", ["silence", "shuffled"])
def test_an_arm_heard_what_the_run_asked(tmp_path: Path, loader: Loader, arm: str) -> None:
    run = Begun(tmp_path, loader, audio=arm)
    for sample, [original, heard], question in zip(run.samples(), run.heard(), run.inputs.scored_on, strict=True):
        assert same(original.audio, run.inputs.recorded.question(question.id).audio)
        assert heard.label == f"heard: {arm}" and same(heard.audio, question.audio)
        assert not same(heard.audio, original.audio)
        assert heard.note == (None if arm == "silence" else f"the recording of item {sample.question.heard}")


def test_nothing_is_heard_of_text_alone(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader, audio="none")
    for original, heard in run.heard():
        assert original.audio is not None
        assert heard == Heard("heard: none", None, "the model was given the text alone")
    run.rewrite(audio=None, audio_sha256=None, heard=None)
    assert run.heard() == [[]] * ITEMS, "items without a recording"


@pytest.mark.parametrize("arm", [None, "shuffled"])
def test_a_view_is_one_that_voted(tmp_path: Path, loader: Loader, arm: str | None) -> None:
    config = ViewTtrl.Config()
    run = Begun(tmp_path, loader, method="view_ttrl", method_args=config.model_dump(), audio=arm)
    views, _ = ballots(run.inputs.scored_on, config, run.spec.seed)[0]
    for clips, view in zip(run.heard(), views, strict=True):
        assert clips[-1].label == "heard: a view" and len(clips) == (3 if arm else 2)
        assert same(clips[-1].audio, view.question.audio) and not same(clips[-1].audio, clips[0].audio)
        assert clips[-1].note is not None and clips[-1].note.startswith("view 1 of the vote's 8: ")


@pytest.mark.parametrize("flags", [
    {"method_args": {**ViewTtrl.Config().model_dump(), "views": "choices+paraphrase"}},
    {"method_args": ViewTtrl.Config().model_dump(), "audio": "silence"},
])  # fmt: skip
def test_views_that_change_no_sound_are_not_told(tmp_path: Path, loader: Loader, flags: dict[str, Any]) -> None:
    run = Begun(tmp_path, loader, method="view_ttrl", **flags)
    assert not [clip for clips in run.heard() for clip in clips if "view" in clip.label]


def test_the_window_cuts_a_recording(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader)
    [first, *_] = run.samples()
    cut = replace(first, response=ResponseRecord(id=first.question.id, response="", truncated=True))
    [original, beginning] = Hearing(run.log).of(cut)
    assert original.audio is not None and beginning.audio == replace(original.audio, part=(0.0, 300.0))
    assert beginning.note == "the model's window of 300 s cut it"
    run.log.write_spec(run.spec.model_copy(update={"model": "nobody/knows"}))
    assert Hearing(run.log).of(cut)[1].audio is None


def test_recordings_that_have_moved_are_those_of_the_task(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader, audio="shuffled")
    before = run.heard()
    for name in (".../00000.wav", "a\0b"):
        run.rewrite(audio=name)
        assert [[clip.audio for clip in clips] for clips in run.heard()] == [[c.audio for c in cs] for cs in before]


def test_no_other_file_is_taken_for_the_recording(tmp_path: Path, loader: Loader) -> None:
    """A run directory may come from elsewhere, with paths of this machine's files."""
    run, private = Begun(tmp_path / "run", loader), tmp_path / "private.wav"
    [[original], *_] = run.heard()
    assert original.audio is not None
    private.write_bytes(original.audio.read()[:-4] + b"mine")
    run.rewrite(audio=str(private))
    assert all(same(clip.audio, question.audio) for [clip], question in zip(run.heard(), run.inputs.scored_on))
    run.log.write_spec(run.spec.model_copy(update={"seed": 99}))  # no run of this spec began here
    assert run.heard() == [[Heard("original", None, NOT_OWN)]] * ITEMS
    remember_folders([str(private)])
    for [clip] in run.heard():
        assert clip.audio is not None
        with pytest.raises(AudioError, match="sha256"):
            clip.audio.load()
    for changes in ({"audio_sha256": None}, {"more_audio": (str(private),)}):
        run.rewrite(**changes)
        assert run.heard() == [[Heard("original", None, CHANGED)]] * ITEMS


def test_several_recordings_are_heard_one_after_the_other(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader, audio="silence")
    paths = [question.audio.path for question in run.inputs.recorded.questions if question.audio]
    digest = sha256(" ".join(AudioRef(path=path).digest() for path in paths[:2]).encode()).hexdigest()
    run.rewrite(audio=paths[0], more_audio=(paths[1],), audio_sha256=digest)
    labels = [clip.label for clip in run.heard()[0]]
    assert labels == ["original, 1", "original, 2", "heard: silence, 1", "heard: silence, 2"]
    for clip, path in zip(run.heard()[0], paths[:2], strict=False):
        assert clip.audio and clip.audio.path == path


def test_responses_from_elsewhere_have_their_recordings(tmp_path: Path, loader: Loader) -> None:
    run = Begun(tmp_path, loader)
    spec = ResponsesSpec(task=TASK, name="theirs", responses="0" * 64)
    run.log.write_spec(spec)
    run.rewrite(audio="elsewhere.wav")
    assert run.heard() == [[Heard("original", None, NOT_OWN)]] * ITEMS
    remember_read(spec, [])
    assert all(same(clip.audio, question.audio) for [clip], question in zip(run.heard(), run.inputs.scored_on))
    remember_read(absent := spec.model_copy(update={"task": "no_such_task"}), [])
    run.log.write_spec(absent)
    assert run.heard() == [[Heard("original", None, NOT_OWN)]] * ITEMS


def test_a_page_runs_no_code_that_a_run_directory_names(tmp_path: Path, loader: Loader) -> None:
    run, tasks = Begun(tmp_path / "run", loader), tmp_path / "tasks"
    tasks.mkdir()
    (tasks / "evil.yaml").write_text("task: evil\ncustom_dataset: !function data.TEST\noutput_type: generate_until\n")
    (tasks / "data.py").write_text(f"import pathlib\npathlib.Path({str(tasks / 'ran')!r}).touch()\n")
    spec = run.spec.model_copy(update={"task": "evil", "include_path": str(tasks)})
    run.log.write_spec(spec)
    run.rewrite(audio="elsewhere.wav")
    assert run.heard() == [[Heard("original", None, NOT_OWN)]] * ITEMS and not (tasks / "ran").exists()
    remember_read(spec, [])  # the user has begun such a run
    assert run.heard() and (tasks / "ran").exists(), "the test can fail"


def test_many_folders_of_recordings_are_one(tmp_path: Path) -> None:
    for folder in (tmp_path / "few", tmp_path / "many"):
        remember_folders(f"{folder}/{place}/a.wav" for place in range(3 if folder.name == "few" else MOST + 1))
        assert may_be_heard(f"{folder}/0/b.wav") and may_be_heard(f"{folder}/2/below/b.wav")
        assert may_be_heard(f"{folder}/b.wav") == (folder.name == "many") and not may_be_heard(f"{folder}x.wav")
    (tmp_path / "few" / "0").mkdir(parents=True)
    (tmp_path / "few" / "0" / "link.wav").symlink_to(tmp_path / "private.wav")
    assert not may_be_heard(f"{tmp_path}/few/0/link.wav") and not may_be_heard(f"{tmp_path}/few/0/../../b.wav")
    remember_folders(["/a.wav", str(Path.home() / "a.wav")])
    assert not may_be_heard("/etc/b.wav") and not may_be_heard(str(Path.home() / "b.wav"))


def test_edits_are_told_in_words() -> None:
    assert told(AudioEdit(12_000, -0.05, 0.8, 45.0, 7)) == (
        "nothing above 6 kHz, 50 ms earlier, 0.80 times as loud, noise 45 dB below it"
    )
    assert told(AudioEdit()) == "as it is"
