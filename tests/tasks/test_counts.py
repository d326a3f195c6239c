"""The official files as they are: the counts that their authors published or that were measured on them."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest

from audio_eval.tasks.daily_omni.data import AUDIO
from audio_eval.tasks.daily_omni.data import OPEN as DAILY_OPEN
from audio_eval.tasks.mmar.data import TEST as MMAR
from audio_eval.tasks.mmau.data import OPEN as MMAU_OPEN
from audio_eval.tasks.mmau.data import TEST_MINI, TEST_MINI_ORIGINAL
from tests.shared_data import shared_path

SETS = {"mmau": TEST_MINI, "original": TEST_MINI_ORIGINAL, "mmar": MMAR, "daily": AUDIO}


@cache
def docs(name: str) -> list[dict[str, Any]]:
    return [dict(doc) for doc in SETS[name](data_dir=str(shared_path("data/benchmarks")))["test"]]


def groups(name: str, label: str) -> Counter[str]:
    return Counter(doc["groups"][label] for doc in docs(name))


def golds(name: str) -> str:
    places = Counter(doc["choices"].index(doc["answer"]) for doc in docs(name))
    return " ".join(f"{'ABCDEFGH'[place]}{places[place]}" for place in sorted(places))


def sizes(name: str) -> dict[int, int]:
    return dict(Counter(len(doc["choices"]) for doc in docs(name)))


def test_mmau_test_mini() -> None:
    assert len(docs("mmau")) == 1000
    assert groups("mmau", "task") == {"sound": 333, "music": 334, "speech": 333}
    assert groups("mmau", "difficulty") == {"medium": 540, "hard": 236, "easy": 224}
    assert len(groups("mmau", "sub-category")) == 27
    skills = {"Acoustic Source Inference": 48, "Temporal Reasoning": 56, "Phonemic Stress Pattern Analysis": 53}
    assert skills.items() <= groups("mmau", "sub-category").items()
    categories = Counter(doc["meta"]["category"] for doc in docs("mmau"))
    assert categories == {"Reasoning": 677, "Information Extraction": 323}, "13 of them are lists in the file"
    assert sizes("mmau") == {4: 948, 2: 27, 5: 24, 8: 1}
    assert golds("mmau") == "A395 B271 C208 D126"
    assert sum(len(set(doc["choices"])) < len(doc["choices"]) for doc in docs("mmau")) == 27
    listlike = [doc for doc in docs("mmau") if doc["answer"].startswith("['")]
    assert [doc["id"][:8] for doc in listlike] == ["bbabe360"]


def test_mmau_before_its_revision() -> None:
    assert len(docs("original")) == 1000
    assert groups("original", "difficulty") == {"easy": 258, "medium": 510, "hard": 232}
    old, new = ({doc["id"]: doc for doc in docs(name)} for name in ("original", "mmau"))
    common = set(old) & set(new)
    assert len(common) == 894
    assert sum(old[id]["question"] != new[id]["question"] for id in common) == 218
    assert sum(old[id]["answer"] != new[id]["answer"] for id in common) == 209


def test_mmar() -> None:
    assert len(docs("mmar")) == 1000
    assert groups("mmar", "modality") == {
        "speech": 294, "mix-sound-speech": 218, "music": 206, "sound": 165, "mix-music-speech": 82,
        "mix-sound-music-speech": 24, "mix-sound-music": 11,
    }  # fmt: skip
    layers = {"Semantic Layer": 412, "Perception Layer": 404, "Cultural Layer": 141, "Signal Layer": 43}
    assert groups("mmar", "category") == layers
    assert len(groups("mmar", "sub-category")) == 16
    assert sizes("mmar") == {4: 815, 2: 171, 3: 10, 5: 3, 6: 1}
    assert golds("mmar") == "A273 B302 C213 D212"


def test_daily_omni() -> None:
    assert len(docs("daily")) == 1197
    assert len({doc["meta"]["video_id"] for doc in docs("daily")}) == 684
    assert groups("daily", "Type") == {
        "Event Sequence": 306, "AV Event Alignment": 238, "Context understanding": 193, "Reasoning": 175,
        "Inference": 154, "Comparative": 131,
    }  # fmt: skip
    assert groups("daily", "video_duration") == {"30s": 647, "60s": 550}
    assert len(groups("daily", "video_category")) == 15
    assert groups("daily", "video_category")["Entertainment"] == 217
    assert sizes("daily") == {4: 1197}
    assert golds("daily") == "A278 B318 C306 D295"


@pytest.mark.parametrize(("name", "open_set"), [("mmau", MMAU_OPEN), ("daily", DAILY_OPEN)])
def test_open_sets_are_the_same_items(name: str, open_set: Any) -> None:
    found = open_set(data_dir=str(shared_path("data/benchmarks")))["test"]
    assert [(doc["id"], doc["question"], doc["answer"]) for doc in found] == [
        (doc["id"], doc["question"], doc["answer"]) for doc in docs(name)
    ]
    assert not any(doc["choices"] for doc in found)
