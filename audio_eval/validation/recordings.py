"""Checks of recordings: each is read and decoded once, several at a time, and let go of."""

from __future__ import annotations

import math
import os
from bisect import bisect_right
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.hf.families import FAMILIES
from audio_eval.progress import Progress
from audio_eval.task import Task
from audio_eval.validation.report import Bin, Figures, Finding

MISSING = "missing audio"
UNREADABLE = "unreadable audio"
CHANGED = "audio with another sha256 than recorded"
SILENT = "silent recordings"
LONG = "recordings longer than a model family's window"

# A thousandth of full scale. Speech and music peak 20 to 50 dB above it, and 16-bit dither 30 dB below: what stays
# under it all along is a recording that failed. Measured on the mean of the channels, which is what a model hears.
SILENCE_DB = -60.0
EDGES = (0.0, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
# What libsndfile calls the content that a suffix promises.
NAMED = {
    ".wav": ("WAV", "WAVEX", "RF64", "W64"), ".flac": ("FLAC",), ".mp3": ("MP3",), ".ogg": ("OGG",), ".opus": ("OGG",),
}  # fmt: skip
THREADS = 8


@dataclass(frozen=True)
class Heard:
    """What one recording is; ``peak`` is in dB of full scale."""

    seconds: float
    rate: int
    channels: int
    format: str
    subtype: str
    peak: float


@dataclass
class Found:
    """What was found of all recordings of a task; ``figures`` is None where none could be read."""

    errors: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    figures: Figures | None = None


def check_recordings(task: Task, progress: Progress) -> Found:
    """Read every recording of the task; one that several items share once."""
    refs = [(q.id, ref) for q in task.questions for ref in q.audios]
    paths = [ref.path for _, ref in refs if ref.path]
    if paths and not any(Path(path).is_file() for path in paths):
        wanted = f"--data-dir must hold {task.metadata['reads']}" if "reads" in task.metadata else "see --data-dir"
        said = f"none of the {len(paths)} recordings is there (first: {paths[0]}); {wanted}"
        return Found([Finding(MISSING, "", said)])
    results = _read_all(list(dict.fromkeys(ref for _, ref in refs)), progress)
    found = Found()
    for id_, ref in refs:
        result = results[ref]
        if isinstance(result, Finding):
            found.errors.append(result._replace(id=id_))
        elif result.peak < SILENCE_DB:
            level = "all samples are 0" if math.isinf(result.peak) else f"peak {result.peak:.1f} dBFS"
            found.notes.append(Finding(SILENT, id_, f"{ref.name}: {level}"))
    heard = {ref: result for ref, result in results.items() if isinstance(result, Heard)}
    if heard:
        found.figures = figures = _figures(heard, len({id_ for id_, _ in refs}))
        for window in sorted({family.max_seconds for family in FAMILIES}):
            types = [family.model_types[0] for family in FAMILIES if family.max_seconds == window]
            if cut := figures.longer_than[types[0]]:
                heard_s = f"{', '.join(types)} hear{'s' * (len(types) == 1)} the first {window:g} s"
                found.notes.append(Finding(LONG, "", f"{cut} of {figures.recordings}; {heard_s}"))
    return found


def _read_all(refs: list[AudioRef], progress: Progress) -> dict[AudioRef, Heard | Finding]:
    results: dict[AudioRef, Heard | Finding] = {}
    pool = ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1))  # decoding lets go of the interpreter
    try:
        with progress.bar("audio", len(refs)) as bar:
            for ref, result in zip(refs, pool.map(_examine, refs), strict=True):
                results[ref] = result
                bar.advance(1, audio_seconds=result.seconds if isinstance(result, Heard) else 0.0)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C the rest is not read
    return results


def _examine(ref: AudioRef) -> Heard | Finding:
    """What a recording is, or what is wrong with it (without the item's id). The samples do not leave this function."""
    import numpy as np

    try:
        data = ref.read()
    except AudioError as error:
        return Finding(UNREADABLE if ref.path is None or os.path.exists(ref.path) else MISSING, "", str(error))
    try:
        sound = ref.decode()
    except AudioError as error:
        changed = ref.sha256 and sha256(data).hexdigest() != ref.sha256
        return Finding(CHANGED if changed else UNREADABLE, "", str(error))
    peak = float(np.abs(sound.samples).max())
    level = 20 * math.log10(peak) if peak else -math.inf
    return Heard(len(sound.samples) / sound.rate, sound.rate, sound.channels, sound.format, sound.subtype, level)


def _figures(heard: dict[AudioRef, Heard], items: int) -> Figures:
    seconds = [one.seconds for one in heard.values()]
    counts = Counter(bisect_right(EDGES, value) - 1 for value in seconds)
    ends = [*EDGES[1:], None]
    return Figures(
        items=items,
        recordings=len(heard),
        seconds=round(sum(seconds), 3),
        shortest=round(min(seconds), 3),
        longest=round(max(seconds), 3),
        longer_than=Counter({f.model_types[0]: sum(value > f.max_seconds for value in seconds) for f in FAMILIES}),
        durations=[Bin(EDGES[i], ends[i], counts[i]) for i in range(min(counts), max(counts) + 1)],
        rates=Counter(one.rate for one in heard.values()),
        channels=Counter(one.channels for one in heard.values()),
        formats=Counter(f"{one.format} {one.subtype}" for one in heard.values()),
        misnamed=Counter(name for ref, one in heard.items() if (name := _misnamed(ref, one))),
    )


def _misnamed(ref: AudioRef, one: Heard) -> str:
    """Such as "MP3 named .wav"; "" where name and content agree, or where the name says nothing."""
    suffix = Path(ref.path or "").suffix.lower()
    fits = one.format in NAMED.get(suffix, (one.format,))
    return "" if fits else f"{one.format} named {suffix}"
