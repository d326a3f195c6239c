"""synth_aqa for lm-eval: the splits as datasets. Recordings are rendered once, into the cache."""

from __future__ import annotations

import io
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import soundfile
from datasets import Dataset

from audio_eval.cache import cache_root, written
from audio_eval.data import FEATURES, Record, record
from audio_eval.store import write_atomic
from audio_eval.tasks.synth_aqa.items import SIZES, Item, make_item
from audio_eval.tasks.synth_aqa.rationale import rationale
from audio_eval.tasks.synth_aqa.signal import RATE

VERSION = "1.0"  # of the items; raise it with any change to what is drawn or rendered
GROUPS = ("task", "category", "sub-category", "difficulty")


def cache_folder() -> Path:
    """Where recordings are stored: below $AUDIO_EVAL_CACHE, else ~/.cache/audio-eval.

    The name has a digest of the code that renders them, so that recordings of other versions are never taken.
    """
    return cache_root() / f"synth_aqa-{VERSION}-{_sources()}"


@lru_cache
def _sources() -> str:
    modules = ("signal", "scenes", "shift", "questions", "items")
    code = b"".join(Path(__file__).with_name(f"{module}.py").read_bytes() for module in modules)
    return sha256(code).hexdigest()[:8]


def recording(item: Item) -> tuple[Path, str]:
    """Path and sha256 of an item's WAV file, which is rendered if it is not there yet."""
    path = cache_folder() / f"seed{item.seed}" / item.split / f"{item.index:05d}.wav"
    note = path.with_suffix(".sha256")
    if not (path.is_file() and note.is_file()):
        buffer = io.BytesIO()
        soundfile.write(buffer, item.pcm(), RATE, format="WAV", subtype="PCM_16")
        with written():  # two runs at the same time write the same bytes
            write_atomic(path, buffer.getvalue())
            write_atomic(note, sha256(buffer.getvalue()).hexdigest().encode())
    return path, note.read_text()


def build(seed: int = 0, splits: list[str] | None = None, limit: int | None = None, **_: Any) -> dict[str, Dataset]:
    """Every split, up to ``limit`` items, for lm-eval's custom_dataset.

    The splits that are not in ``splits``, if given, have only their first item: lm-eval looks into every split.
    """
    if isinstance(seed, bool):  # lm-eval hands over the model's settings as well, and the api backend has a `seed`
        seed = 0

    def size(split: str) -> int:
        return min(SIZES[split], limit or SIZES[split]) if not splits or split in splits else 1

    return {
        split: Dataset.from_list([_record(make_item(seed, split, i)) for i in range(size(split))], FEATURES)
        for split in SIZES
    }


def build_open(**options: Any) -> dict[str, Dataset]:
    """The same splits without options."""
    return {
        split: data.map(lambda row: {**row, "choices": []}, features=FEATURES)
        for split, data in build(**options).items()
    }


def _record(item: Item) -> Record:
    doc, (path, digest) = item.doc(), recording(item)
    return record(
        id=item.id,
        path=str(path),
        sha256=digest,
        question=item.question,
        choices=item.choices,
        answer=item.answer,
        groups={key: str(doc[key]) for key in GROUPS},
        meta={
            "split": item.split,
            "severity": round(item.shift.severity, 3),
            "paraphrases": [other for other in item.phrasings if other != item.question],
            **({"rationale": rationale(item)} if item.split == "train" else {}),  # it names the answer
        },
    )
