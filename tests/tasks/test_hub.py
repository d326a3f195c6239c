"""The same item from every source of a task: official files, hub mirrors in their own schemas, hub files."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioRef
from audio_eval.data import OFFICIAL, DataError, Sources
from audio_eval.tasks.alpaca_eval.data import PROMPTS as ALPACA_EVAL
from audio_eval.tasks.daily_omni.data import AUDIO
from audio_eval.tasks.mmar.data import TEST as MMAR_TEST
from audio_eval.tasks.mmau.data import OPEN, TEST, TEST_MINI, TEST_MINI_ORIGINAL
from audio_eval.tasks.mmsu.data import TEST as MMSU_TEST
from audio_eval.tasks.ultrafeedback.data import PROMPTS as ULTRAFEEDBACK
from tests.data.copies import clip, parquet, provenance, recording, serve, unplug
from tests.tasks.official import ALPACA, DAILY, MMAR, MMAU, MMSU, ULTRA, ULTRA_FILES, write

WAV, MP3 = recording(channels=2), recording(kind="MP3", seconds=1.0)
# Items that are hard to carry over: a category that is a list, an answer that looks like one, five options, an option
# that begins with a letter; and a recording that is an MP3 of the name .wav, as 46 of MMAU's are.
MMAU_ITEMS = [
    (dict(MMAU, category=["Reasoning"], answer="['a', 'b']", choices=["['b', 'a']", "['a', 'b']"]), WAV),
    (dict(MMAU, id="m2", choices=["A. Smith", "x", "B", " y", "x"], answer="A. Smith"), MP3),
]
ATTRIBUTES = ("id", "dataset", "task", "split", "category", "sub-category", "difficulty")


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    unplug(monkeypatch)


def lettered(form: str, texts: list[str]) -> list[str]:
    return [form.format("ABCDEFGH"[place]) + text for place, text in enumerate(texts)]


def attributes(item: dict[str, Any], sound: bytes, form: str, packed: bool) -> dict[str, Any]:
    choices = lettered(form, item["choices"])
    inner = {key: item[key] for key in ATTRIBUTES}
    return {
        "context": clip(sound),
        "instruction": item["question"],
        "choices": choices,
        "answer": choices[item["choices"].index(item["answer"])] if item["answer"] else "",
        "other_attributes": json.dumps(inner) if packed else {**inner, "category": str(inner["category"])},
    }


def columns(item: dict[str, Any], sound: bytes, packed: bool, sub_category: str = "sub-category") -> dict[str, Any]:
    row = {key: value for key, value in item.items() if key not in ("audio_id", "sub-category")}
    row |= {"audio": clip(sound), sub_category: item["sub-category"], "category": "Reasoning"}
    return row | {"choices": json.dumps(item["choices"]) if packed else item["choices"]}


def docs(sources: Sources, data_dir: Path, source: str) -> list[dict[str, Any]]:
    given = {"data_dir": str(data_dir), "source": source}
    assert provenance(sources, **given).source == source
    return [dict(doc) for doc in sources(**given)["test"]]


def same_everywhere(sources: Sources, data_dir: Path, sounds: list[bytes], recorded: list[str]) -> None:
    """Every source gives the official items; those named in ``recorded`` with these recordings."""
    official = docs(sources, data_dir, OFFICIAL)
    for name in sources.hub:
        found = docs(sources, data_dir, name)
        for key in ("id", "question", "choices", "answer", "groups"):
            assert [doc[key] for doc in found] == [doc[key] for doc in official], (name, key)
        if name in recorded:
            for doc, sound in zip(found, sounds, strict=True):
                assert Path(doc["audio"]["path"]).read_bytes() == sound
                assert AudioRef(doc["audio"]["path"], sha256=doc["audio"]["sha256"] or None).load().ndim == 1


@pytest.mark.parametrize(
    ("form", "sub_category"), [("({}) ", "sub-category"), ("", "sub_category"), ("{}. ", "sub-category")]
)
def test_mmau_test_mini(form: str, sub_category: str, tmp_path: Path) -> None:
    write(tmp_path, "mmau/mmau-test-mini.json", [item for item, _ in MMAU_ITEMS])
    gamma = [attributes(item, sound, form, packed=True) for item, sound in MMAU_ITEMS]
    parquet(tmp_path, "gamma-lab-umd/MMAU-test-mini", "data/test-00000-of-00001.parquet", gamma)
    lmms = [columns(item, sound, packed=True) for item, sound in MMAU_ITEMS]
    parquet(tmp_path, "lmms-lab/mmau", "data/test_mini-00000-of-00001.parquet", lmms)
    twink = [columns(item, sound, False, sub_category) for item, sound in MMAU_ITEMS]
    parquet(tmp_path, "TwinkStart/MMAU", "data/v05.15.25-00000-of-00001.parquet", twink)
    same_everywhere(TEST_MINI, tmp_path, [WAV, MP3], TEST_MINI.hub)
    same_everywhere(OPEN, tmp_path, [WAV, MP3], OPEN.hub)
    assert docs(TEST_MINI, tmp_path, OFFICIAL)[1]["answer"] == "A. Smith"
    assert docs(OPEN, tmp_path, "lmms-lab/mmau")[0]["answer"] == "['a', 'b']"


def test_mmau_before_its_revision(tmp_path: Path) -> None:
    write(tmp_path, "mmau_original/mmau-test-mini.json", [MMAU])
    rows = [attributes(MMAU, WAV, "({}) ", packed=False)]
    parquet(tmp_path, "AudioLLMs/MMAU-mini", "MMAU-mini/test-00000-of-00001.parquet", rows)
    same_everywhere(TEST_MINI_ORIGINAL, tmp_path, [WAV], TEST_MINI_ORIGINAL.hub)


@pytest.mark.parametrize("answer", ["", None])
def test_mmau_test_hides_its_answers(answer: str | None, tmp_path: Path) -> None:
    item = dict(MMAU, answer="")
    write(tmp_path, "mmau/mmau-test.json", [item])
    gamma = dict(attributes(item, WAV, "({}) ", packed=True), answer=answer)
    parquet(tmp_path, "gamma-lab-umd/MMAU-test", "data/test-00000-of-00001.parquet", [gamma])
    lmms = dict(columns(item, WAV, packed=True), answer=answer)
    parquet(tmp_path, "lmms-lab/mmau", "data/test-00000-of-00001.parquet", [lmms])
    same_everywhere(TEST, tmp_path, [WAV], TEST.hub)


def test_mmar(tmp_path: Path) -> None:
    items = [MMAR, dict(MMAR, id="r2", choices=["x", "A. y", "z", "v", "w"], answer="w")]
    write(tmp_path, "mmar/MMAR-meta.jsonl", items)
    write(tmp_path, "BoJack/MMAR/MMAR-meta.json", items)
    sound = tmp_path / "BoJack/MMAR/mmar-audio.tar.gz"
    with tarfile.open(sound, "w:gz") as tar:
        entry = tarfile.TarInfo("./audio/r1.wav")
        entry.size = len(WAV)
        tar.addfile(entry, io.BytesIO(WAV))
    rows = [
        {
            "id": item["id"], "audio": clip(data), "question": item["question"],
            "choices": lettered("{}. ", item["choices"]), "answer": "ABCDE"[item["choices"].index(item["answer"])],
            "modality": item["modality"], "category": item["category"], "subcategory": item["sub-category"],
        }
        for item, data in zip(items, (WAV, MP3), strict=True)
    ]  # fmt: skip
    parquet(tmp_path, "ngqtrung/mmar", "data/test-00000-of-00001.parquet", rows)
    same_everywhere(MMAR_TEST, tmp_path, [WAV, MP3], ["ngqtrung/mmar"])
    assert Path(docs(MMAR_TEST, tmp_path, "BoJack/MMAR")[0]["audio"]["path"]).read_bytes() == WAV
    assert "gold" not in json.dumps(docs(MMAR_TEST, tmp_path, "BoJack/MMAR"))


def test_mmsu(tmp_path: Path) -> None:
    write(tmp_path, "mmsu/MMSU.jsonl", [MMSU])
    row = {key: value for key, value in MMSU.items() if key != "audio_path"} | {"audio": clip(MP3)}
    parquet(tmp_path, "ddwang2000/MMSU", "data/train-00000-of-00001.parquet", [row])
    row = {key: value for key, value in row.items() if key not in ("answer_gt", "sub-category")}
    row |= {"answer": "B", "sub_category": MMSU["sub-category"]}
    parquet(tmp_path, "ngqtrung/mmsu", "data/test-00000-of-00001.parquet", [row])
    same_everywhere(MMSU_TEST, tmp_path, [MP3], MMSU_TEST.hub)
    for name in MMSU_TEST.hub:
        assert docs(MMSU_TEST, tmp_path, name)[0]["meta"]["slots"] == [None, "male", None, "None"]
    parquet(tmp_path, "ngqtrung/mmsu", "data/test-00000-of-00001.parquet", [dict(row, answer="A")])
    with pytest.raises(DataError, match="row 1: 'answer' is 'A', the letter of no option"):
        docs(MMSU_TEST, tmp_path, "ngqtrung/mmsu")


def test_daily_omni(tmp_path: Path) -> None:
    write(tmp_path, "daily_omni/qa.json", [DAILY])
    write(tmp_path, "liarliar/Daily-Omni/qa.json", [DAILY])
    with tarfile.open(tmp_path / "liarliar/Daily-Omni/Videos.tar", "w") as tar:
        for kind, data in (("audio.wav", WAV), ("video.mp4", b"video")):
            entry = tarfile.TarInfo(f"Videos/-v_1/-v_1_{kind}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    same_everywhere(AUDIO, tmp_path, [WAV], AUDIO.hub)
    assert not list((tmp_path / "cache").rglob("*.mp4"))


def test_text_sets_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, tmp_path / "hub")
    write(tmp_path / "hub", "tatsu-lab/alpaca_eval/alpaca_eval_gpt4_baseline.json", [ALPACA])
    for name in ULTRA_FILES:
        write(tmp_path / "hub", f"openbmb/UltraFeedback/{name}.jsonl", [dict(ULTRA, source=name)])
    assert [doc["id"] for doc in ALPACA_EVAL()["test"]] == ["koala-0000"]
    assert [doc["id"] for doc in ULTRAFEEDBACK()["test"]] == [f"{name}-1" for name in ULTRA_FILES]
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_broken_rows_of_a_mirror(tmp_path: Path) -> None:
    good = attributes(MMAU, WAV, "({}) ", packed=True)
    rows = [
        good,
        dict(good, other_attributes="{"),
        dict(good, choices=["(A) one"], instruction=""),
        good,
        dict(good, other_attributes=json.dumps({"id": "m9"})),
    ]
    parquet(tmp_path, "gamma-lab-umd/MMAU-test-mini", "data/test-00000-of-00001.parquet", rows)
    with pytest.raises(DataError) as caught:
        docs(TEST_MINI, tmp_path, "gamma-lab-umd/MMAU-test-mini")
    said = str(caught.value)
    for part in (
        "row 2: 'other_attributes' is neither an object nor one in JSON",
        "row 2: 'id' is missing",
        "row 3: 'question'",
        "row 3: 'choices' holds fewer than two options",
        "row 4: has the id of row 1",
        "row 5: 'task' is missing",
    ):
        assert part in said
