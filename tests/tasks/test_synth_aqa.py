"""synth_aqa: what an item is, that it is the same everywhere, and that it loads as an lm-eval task."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

import audio_eval.tasks
from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.models import tiny_omni
from audio_eval.rl.structure import SECTIONS, written
from audio_eval.task import load_task
from audio_eval.tasks.synth_aqa import dataset
from audio_eval.tasks.synth_aqa.items import SIZES, Item, draw_choices, make_item
from audio_eval.tasks.synth_aqa.questions import KINDS, SEEN
from audio_eval.tasks.synth_aqa.rationale import rationale
from audio_eval.tasks.synth_aqa.scenes import NUMBERS, SCENES, Timbre
from audio_eval.tasks.synth_aqa.shift import CLEAN_SNR

CHECKPOINT = Path(tiny_omni.__file__).parent / "checkpoint"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def items() -> dict[str, list[Item]]:
    """Every item of the test and validation splits, and as many of train."""
    return {split: [make_item(0, split, i) for i in range(min(SIZES[split], 800))] for split in SPLITS}


def test_size_kinds_and_domains(items: dict[str, list[Item]]) -> None:
    assert SIZES["test"] >= 600 and set(SIZES) == set(SPLITS)
    assert len(KINDS) >= 12
    assert {kind.domain for kind in KINDS.values()} == {"sound", "music", "speech"}
    for split in SPLITS:
        assert {item.kind for item in items[split]} == set(KINDS), f"a kind never occurs in {split}"
        domains = Counter(item.scene.domain for item in items[split])
        assert max(domains.values()) - min(domains.values()) <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_choices(split: str, items: dict[str, list[Item]]) -> None:
    for item in items[split]:
        assert 2 <= len(item.choices) <= 6 and len(set(item.choices)) == len(item.choices), item.id
        assert item.answer in item.choices, item.id
        assert set(item.choices) <= set(KINDS[item.kind].pool), item.id
    four = [item.choices.index(item.answer) for item in items[split] if len(item.choices) == 4]
    assert all(0.12 < n / len(four) < 0.38 for n in Counter(four).values()), "the answer's place gives it away"
    assert {len(item.choices) for item in items["test"]} == {2, 3, 4, 5, 6}


@given(st.integers(), st.sampled_from([(kind, answer) for kind in sorted(KINDS) for answer in KINDS[kind].pool]))
def test_draw_choices(seed: int, kind_and_answer: tuple[str, str]) -> None:
    kind, answer = kind_and_answer
    choices = draw_choices(random.Random(seed), kind, answer)
    assert answer in choices and len(choices) == len(set(choices))
    assert 2 <= len(choices) <= min(6, len(KINDS[kind].pool))


def test_train_is_clean_and_asks_in_the_seen_phrasings_only(items: dict[str, list[Item]]) -> None:
    for item in items["train"]:
        assert item.question in KINDS[item.kind].phrasings[:SEEN]
        assert (item.shift.severity, item.shift.timbre, item.shift.reverb_s) == (0.0, Timbre(), 0.0)
        assert CLEAN_SNR[0] <= item.shift.snr_db <= CLEAN_SNR[1]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_validation_and_test_are_shifted(split: str, items: dict[str, list[Item]]) -> None:
    unseen = [item.question not in KINDS[item.kind].phrasings[:SEEN] for item in items[split]]
    assert 0.2 < np.mean(unseen) < 0.5
    severity = np.array([item.shift.severity for item in items[split]])
    assert severity.min() >= 0 and severity.max() <= 1
    assert np.histogram(severity, bins=5, range=(0, 1))[0].min() > len(severity) / 5 * 0.7, "not over all of [0, 1]"
    assert all(6 <= item.shift.snr_db <= 40 for item in items[split])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_difficulty_is_how_bad_the_recording_conditions_are(split: str, items: dict[str, list[Item]]) -> None:
    of = {label: [i for i in items[split] if i.doc()["difficulty"] == label] for label in ("easy", "medium", "hard")}
    assert sum(map(len, of.values())) == len(items[split])
    assert min(map(len, of.values())) > len(items[split]) / 4, "thirds of an even draw"
    for measure in ("severity", "reverb_s", "snr_db", "lowpass_hz"):
        mean = [float(np.mean([getattr(item.shift, measure) for item in some])) for some in of.values()]
        assert mean == sorted(mean, reverse=measure in ("snr_db", "lowpass_hz")), measure
    kinds = [{item.kind for item in some} for some in of.values()]
    assert kinds[0] == kinds[1] == kinds[2] == set(KINDS), "a matter of the recording, not of the question"
    assert {item.doc()["difficulty"] for item in items["train"]} == {"easy"}


@pytest.mark.parametrize(
    ("severity", "label"),
    [(0.0, "easy"), (0.333, "easy"), (0.334, "medium"), (0.666, "medium"), (0.667, "hard"), (1.0, "hard")],
)
def test_difficulty_by_thirds(severity: float, label: str) -> None:
    assert replace(make_item(0, "test", 0).shift, severity=severity).difficulty == label


def test_phrasings_are_the_kinds_own() -> None:
    phrasings = [phrasing for kind in KINDS.values() for phrasing in kind.phrasings]
    assert len(set(phrasings)) == len(phrasings)
    assert all(len(kind.phrasings) > SEEN for kind in KINDS.values())


def test_ids_are_unique_and_disjoint_between_splits(items: dict[str, list[Item]]) -> None:
    ids = [item.id for split in SPLITS for item in items[split]]
    assert len(set(ids)) == len(ids)


def test_every_fact_is_an_answer_of_its_kind() -> None:
    for domain, draw in SCENES.items():
        for seed in range(200):
            scene = draw(random.Random(seed))
            assert scene.domain == domain
            for kind, answer in scene.facts.items():
                assert KINDS[kind].domain == domain and answer in KINDS[kind].pool


def clean_scenes(domain: str, wanted: int, *kinds: str) -> list[tuple[dict[str, str], np.ndarray]]:
    """Scenes of a domain that have all these facts, and their dry waves."""
    found, seed = [], 0
    while len(found) < wanted:
        scene = SCENES[domain](random.Random(seed))
        seed += 1
        if all(kind in scene.facts for kind in kinds):
            found.append((scene.facts, scene.render(np.random.Generator(np.random.PCG64(seed)), Timbre())))
    return found


def bursts(wave: np.ndarray) -> list[float]:
    """Peak of each stretch of sound between silences of 10 ms."""
    frames = np.abs(wave[: len(wave) // 160 * 160].reshape(-1, 160)).max(axis=1)
    peaks, loud = [], False
    for level in frames:
        if level > 1e-9:
            peaks = [*peaks[:-1], max(peaks[-1], level)] if loud else [*peaks, level]
        loud = bool(level > 1e-9)
    return peaks


def test_what_the_facts_say_is_what_is_heard() -> None:
    for facts, wave in clean_scenes("sound", 60, "count", "loudness", "regularity"):
        if facts["regularity"] == "regular" and facts.get("source") in ("drum", "bell"):
            assert len(bursts(wave)) == NUMBERS.index(facts["count"]) + 1
    ramps = [(f, bursts(w)) for f, w in clean_scenes("sound", 40, "loudness", "source") if f["source"] == "drum"]
    assert len({facts["loudness"] for facts, _ in ramps}) == 3
    for facts, peaks in ramps:
        ratio = peaks[-1] / peaks[0]
        assert (ratio > 4, ratio < 1 / 4) == (
            facts["loudness"] == "getting louder",
            facts["loudness"] == "getting quieter",
        )
    for facts, wave in clean_scenes("music", 20, "register"):
        if facts["texture"] == "single notes" and facts["instrument"] == "flute":
            pitch = np.fft.rfftfreq(len(wave), 1 / 16000)[np.abs(np.fft.rfft(wave)).argmax()]
            assert {"low": pitch < 270, "middle": 230 < pitch < 700, "high": pitch > 580}[facts["register"]]
    for facts, wave in clean_scenes("speech", 30, "syllables"):
        assert len(bursts(wave)) == NUMBERS.index(facts["syllables"]) + 1


# --- the same on every platform --------------------------------------------------------------------------------------

METADATA = {"train": "ca4f3a79439c5f45", "validation": "70fc6fd514bbacbd", "test": "406862c9f2a7a79d"}
SAMPLES = {
    ("train", 0): [-3, 3, -5, -16347, -1812, -2, -2701, 3],
    ("validation", 1): [-234, -418, 1009, 3210, 555, -9117, -15145, -4288],
    ("test", 2): [4808, -122, -7353, -8411, -103, 18073, -242, -1657],
    ("test", 33): [-24, 9, 3, -25, 15, 3835, -176, 12],
}
PLACES = slice(4000, 24000, 2500)


@pytest.mark.parametrize("split", SPLITS)
def test_metadata_is_pinned(split: str) -> None:
    digest = sha256()
    for i in range(60):
        item = make_item(0, split, i)
        doc = {key: value for key, value in item.doc().items() if key != "difficulty"}  # which follows the severity
        digest.update(json.dumps([doc, round(item.shift.severity, 9), sorted(item.scene.facts.items())]).encode())
    assert digest.hexdigest()[:16] == METADATA[split]


@pytest.mark.parametrize(("split", "index"), [("train", 0), ("validation", 1), ("test", 2), ("test", 33)])
def test_audio_is_pinned(split: str, index: int) -> None:
    pcm = make_item(0, split, index).pcm()
    assert (pcm.dtype, pcm.shape) == (np.int16, (32000,))
    # not by hash: another libm may round a sine the other way and move a sample by 1
    np.testing.assert_allclose(pcm[PLACES].astype(int), SAMPLES[split, index], atol=1)


def test_an_item_is_a_function_of_its_seed() -> None:
    for split in SPLITS:
        one, again, other = make_item(3, split, 7), make_item(3, split, 7), make_item(4, split, 7)
        assert one.doc() == again.doc() and one.pcm().tobytes() == again.pcm().tobytes()
        assert one.pcm().tobytes() != other.pcm().tobytes()


def test_a_recording_is_rendered_once_and_again_where_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path))
    item = make_item(0, "test", 0)
    path, digest = dataset.recording(item)
    first = path.read_bytes()
    assert tmp_path in path.parents and digest == sha256(first).hexdigest()
    wave, rate = soundfile.read(path, dtype="int16")
    assert rate == 16000 and np.array_equal(wave, item.pcm())
    before = path.stat().st_mtime_ns
    assert dataset.recording(item) == (path, digest) and path.stat().st_mtime_ns == before
    path.unlink()
    assert dataset.recording(item) == (path, digest) and path.read_bytes() == first
    assert not list(tmp_path.rglob("*.tmp"))


# --- as a task -------------------------------------------------------------------------------------------------------


def test_loads_through_lm_eval_with_audio_as_references() -> None:
    from lm_eval.tasks import TaskManager

    folder = str(Path(audio_eval.tasks.__file__).parent)
    metadata = {"splits": ["validation"], "limit": 5}
    manager = TaskManager(include_path=folder, include_defaults=False, metadata=metadata)
    task = manager.load(["synth_aqa"])["tasks"]["synth_aqa"]
    docs = list(task.validation_docs())
    assert task.config.custom_dataset is not None and len(docs) == 5
    assert task.has_training_docs() and task.has_test_docs()
    for i, doc in enumerate(docs):
        item = make_item(0, "validation", i)
        assert set(doc) == {"id", "audio", "more_audio", "question", "choices", "answer", "groups", "meta"}
        assert set(doc["audio"]) == {"path", "sha256"}, "a reference, no waveform"
        assert len(json.dumps(doc)) < 2000
        assert sha256(Path(doc["audio"]["path"]).read_bytes()).hexdigest() == doc["audio"]["sha256"]
        assert [doc[key] for key in ("id", "question", "choices", "answer")] == [
            item.id, item.question, list(item.choices), item.answer,
        ]  # fmt: skip
        assert doc["groups"]["sub-category"] == item.kind
        assert doc["meta"]["severity"] == pytest.approx(item.shift.severity, abs=1e-3)
        assert task.process_results(doc, [f"<answer>{item.answer}</answer>"]) == {"acc": 1, "unparsable": 0}


def test_load_task_parts_questions_from_answers() -> None:
    task = load_task("synth_aqa:validation", limit=5)
    assert (task.name, task.split, task.hidden, len(task.questions)) == ("synth_aqa", "validation", False, 5)
    assert set(task.answers) == {question.id for question in task.questions}
    for question, doc in zip(task.questions, task.docs, strict=True):
        assert isinstance(question.audio, AudioRef)
        assert question.audio.load(16000).shape == (32000,), "and the file has the sha256 it is given"
        assert question.prompt.startswith(question.question) and str(list(question.choices)) in question.prompt
        assert set(question.groups) == {"task", "category", "sub-category", "difficulty"}
        assert task.answers[question.id] == doc["answer"]
    assert load_task("synth_aqa", limit=1).questions[0].id == "synth-test-00000", "test is the default"


def test_a_rationale_is_written_for_training_items_alone() -> None:
    for split in SPLITS:
        task = load_task(f"synth_aqa:{split}", limit=20)
        for example, doc in zip(task.examples, task.docs, strict=True):
            item = make_item(0, split, int(example.question.id[-5:]))
            assert example.rationale == (rationale(item) if split == "train" else {})
            assert ("rationale" in doc["meta"]) is (split == "train"), "it names the answer"


def test_a_rationale_says_what_is_true_of_the_clip(items: dict[str, list[Item]]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)
    lengths = []
    for item in items["train"][:300]:
        parts = rationale(item)
        assert tuple(parts) == SECTIONS and parts["summary"] == item.answer and item.answer in parts["caption"]
        assert all(fact in parts["caption"] for fact in item.scene.facts.values())
        lengths.append(len(tokenizer(written(parts, item.answer, "sections")).input_ids))
    assert max(lengths) <= 102 and np.mean(lengths) < 95


def test_unknown_tasks_and_splits() -> None:
    with pytest.raises(UserError, match="Did you mean 'synth_aqa'"):
        load_task("synth_aq", limit=1)
    with pytest.raises(UserError, match=r"unknown split 'tset' of task 'synth_aqa'. Did you mean 'test'"):
        load_task("synth_aqa:tset", limit=1)


def test_the_open_form_has_the_same_items_without_options() -> None:
    from audio_eval.task import load_task

    closed, opened = (load_task(name, limit=12) for name in ("synth_aqa:validation", "synth_aqa_open:validation"))
    assert opened.answers == closed.answers and opened.scorer.label == "contains_em@2"
    for shut, free in zip(closed.questions, opened.questions, strict=True):
        assert (free.id, free.audio, free.question, free.choices) == (shut.id, shut.audio, shut.question, ())
        assert free.prompt == f"{free.question} Output the final answer in <answer> </answer>."


def test_lm_eval_asks_the_open_form_with_the_same_prompt() -> None:
    from lm_eval.tasks import TaskManager

    from audio_eval.task_index import TASKS_DIR

    metadata = {"splits": ["test"], "limit": 2}
    manager = TaskManager(include_path=[str(TASKS_DIR)], include_defaults=False, metadata=metadata)
    task = manager.load(["synth_aqa_open"])["tasks"]["synth_aqa_open"]
    doc = next(iter(task.test_docs()))
    assert task.doc_to_text(doc) == f"{doc['question']} Output the final answer in <answer> </answer>."
    assert task.process_results(doc, [doc["answer"]])["contains_em"] == 1.0
