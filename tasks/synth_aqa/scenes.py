"""Scenes of synth_aqa: a sound, music or speech-like clip of two seconds, and the facts that are true of it.

A scene is drawn from ``random.Random`` (its stream is fixed across Python versions and platforms), rendered by
``signal``, and questioned by ``questions``.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import signal as s

DURATION = 2.0  # seconds
NUMBERS = ("one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Timbre:
    """How a scene sounds beside what it says; the defaults are the clean training distribution."""

    detune: float = 0.0
    tilt: float = 0.0  # extra fall of the partials' amplitudes, power of the multiple
    vibrato: float = 0.0  # relative depth
    tract: float = 1.0  # vocal-tract scale
    transpose: float = 1.0  # factor on the fundamental frequencies


@dataclass(frozen=True)
class Scene:
    """``facts`` maps a question kind to the answer that is true of this scene; kinds that make no sense are absent."""

    domain: str  # "sound" | "music" | "speech"
    facts: dict[str, str]
    render: Callable[[np.random.Generator, Timbre], s.Wave] = field(repr=False)


# --- sound ---------------------------------------------------------------------------------------------------------

SOURCES = ("bell", "drum", "whistle", "buzzer", "hiss", "chirp")


def _event(source: str, rng: np.random.Generator, t: Timbre) -> s.Wave:
    wobble = 1 + 0.1 * (rng.random() - 0.5)
    if source == "bell":
        n, partials = s.seconds(0.28), {1.0: 1.0, 2.76: 0.6, 5.4: 0.3}
        return s.harmonics(1000 * wobble * t.transpose, n, partials, t.detune) * s.envelope(n, 0.002, 0.02, 0.09)
    if source == "drum":
        n = s.seconds(0.2)
        body = np.sin(s.phase(np.linspace(160, 70, n) * wobble * t.transpose, n))
        return (body + 0.25 * s.noise(n, rng) * s.envelope(n, 0.0, 0.0, 0.01)) * s.envelope(n, 0.002, 0.02, 0.07)
    if source == "whistle":
        n = s.seconds(0.24)
        wave = 2200 * wobble * t.transpose * (1 + (0.01 + t.vibrato) * np.sin(s.phase(9.0, n)))
        return 0.7 * np.sin(s.phase(wave, n)) * s.envelope(n, 0.03, 0.05)
    if source == "buzzer":
        n = s.seconds(0.24)
        partials = {float(k): k ** -(0.8 + t.tilt) for k in range(1, 14, 2)}
        return 1.2 * s.harmonics(240 * wobble * t.transpose, n, partials, t.detune) * s.envelope(n, 0.005, 0.01)
    if source == "hiss":
        n = s.seconds(0.24)
        return 0.7 * s.shape_spectrum(s.noise(n, rng), s.band(n, 2500, 7000)) * s.envelope(n, 0.02, 0.08)
    n = s.seconds(0.24)  # chirp: two quick upward sweeps
    sweep = np.concatenate([np.linspace(2500, 4800, n // 2), np.linspace(2500, 4800, n - n // 2)])
    return 0.7 * np.sin(s.phase(sweep * wobble * t.transpose, n)) * np.abs(np.sin(np.pi * np.linspace(0, 2, n)))


def sound_scene(rng: random.Random) -> Scene:
    """One to five events of one or several sources, evenly spaced or not, steady or changing in loudness."""
    count = rng.choice((1, 2, 3, 3, 4, 4, 5))
    uniform = count == 1 or rng.random() < 0.5
    sources = [rng.choice(SOURCES)] * count
    if not uniform:
        first, last = rng.sample(SOURCES, 2)
        sources = [first, *(rng.choice((first, last)) for _ in range(count - 2)), last]
    facts = {"count": NUMBERS[count - 1]}
    if uniform:
        facts["source"] = sources[0]
    else:
        facts |= {"first_sound": sources[0], "last_sound": sources[-1]}
    gains, gaps = [1.0] * count, [1.0] * max(count - 1, 0)
    if count >= 3:
        facts["loudness"] = rng.choice(("getting louder", "getting quieter", "staying the same"))
        ramp = [0.12 * (1 / 0.12) ** (i / (count - 1)) for i in range(count)]
        gains = {"getting louder": ramp, "getting quieter": ramp[::-1], "staying the same": gains}[facts["loudness"]]
        facts["regularity"] = rng.choice(("regular", "irregular"))
        if facts["regularity"] == "irregular":
            gaps = [0.55 if i % 2 else 1.6 for i in range(count - 1)]
            if rng.random() < 0.5:
                gaps = gaps[::-1]
    unit = 1.65 / max(sum(gaps), 4.0)
    start = rng.uniform(0.02, 1.68 - unit * sum(gaps))

    def render(noise: np.random.Generator, timbre: Timbre) -> s.Wave:
        clip, at = np.zeros(s.seconds(DURATION)), start
        for i in range(count):
            s.mix_into(clip, gains[i] * _event(sources[i], noise, timbre), at)
            at += unit * gaps[i] if i < count - 1 else 0.0
        return clip

    return Scene("sound", facts, render)


# --- music ---------------------------------------------------------------------------------------------------------

INSTRUMENTS: dict[str, dict[float, float]] = {
    "flute": {1.0: 1.0, 2.0: 0.12, 3.0: 0.04},
    "clarinet": {1.0: 1.0, 3.0: 0.7, 5.0: 0.45, 7.0: 0.25, 9.0: 0.12},
    "violin": {float(k): 1 / k for k in range(1, 13)},
    "guitar": {float(k): 1 / k**1.3 for k in range(1, 9)},
    "organ": {1.0: 1.0, 2.0: 0.9, 4.0: 0.8, 8.0: 0.6},
}
REGISTERS = {"low": 160.0, "middle": 400.0, "high": 1000.0}  # Hz of the melody's mean pitch
TEMPI = {"slow": 0.58, "medium": 0.32, "fast": 0.17}  # seconds from note to note
DIRECTIONS = ("rising", "falling", "staying level", "rising then falling")


def _note(instrument: str, freq: float, length: float, t: Timbre) -> s.Wave:
    n = s.seconds(length)
    partials = {k: a * k**-t.tilt for k, a in INSTRUMENTS[instrument].items()}
    depth = t.vibrato + (0.012 if instrument == "violin" else 0.0)
    curve = freq * (1 + depth * np.sin(s.phase(6.0, n)))
    shape = {"guitar": (0.003, 0.02, 0.16), "violin": (0.07, 0.05, None), "flute": (0.04, 0.04, None)}
    return s.harmonics(curve, n, partials, t.detune) * s.envelope(n, *shape.get(instrument, (0.01, 0.03, None)))


def music_scene(rng: random.Random) -> Scene:
    """A short melody: instrument, direction, register, tempo, single notes or chords, steps or leaps."""
    instrument, direction = rng.choice(tuple(INSTRUMENTS)), rng.choice(DIRECTIONS)
    register, tempo = rng.choice(tuple(REGISTERS)), rng.choice(tuple(TEMPI))
    texture = rng.choice(("single notes", "chords"))
    count = {"slow": 3, "medium": 5, "fast": 9}[tempo]
    facts = {"direction": direction, "instrument": instrument, "register": register, "tempo": tempo, "texture": texture}
    size = 2
    if direction in ("rising", "falling"):
        facts["interval"] = rng.choice(("small steps", "large leaps"))
        # semitones from note to note; a fast run of nine notes must stay within its register
        size = {"small steps": 1 if tempo == "fast" else 2, "large leaps": {3: 7, 5: 5, 9: 3}[count]}[facts["interval"]]
    climb = [i * size for i in range(count)]
    middle = count // 2
    pitches = {
        "rising": climb,
        "falling": climb[::-1],
        "staying level": [2 * size] * count,
        "rising then falling": [2 * min(i, 2 * middle - i) * (3 if tempo == "slow" else 1) for i in range(count)],
    }[direction]
    root = REGISTERS[register] * 2 ** ((rng.uniform(-2, 2) - sum(pitches) / count) / 12)

    def render(noise: np.random.Generator, timbre: Timbre) -> s.Wave:
        clip, gap = np.zeros(s.seconds(DURATION)), TEMPI[tempo]
        for i, pitch in enumerate(pitches):
            for step in (0, 4, 7) if texture == "chords" else (0,):
                freq = root * timbre.transpose * 2 ** ((pitch + step) / 12)
                s.mix_into(clip, _note(instrument, freq, gap * 0.95, timbre), 0.08 + i * gap)
        return clip

    return Scene("music", facts, render)


# --- speech-like ---------------------------------------------------------------------------------------------------

VOWELS = {  # formants in Hz of an adult male tract (Peterson and Barney 1952, rounded)
    "ah": (730.0, 1090.0, 2440.0),
    "ee": (270.0, 2290.0, 3010.0),
    "oo": (300.0, 870.0, 2240.0),
    "eh": (530.0, 1840.0, 2480.0),
    "oh": (570.0, 840.0, 2410.0),
}
VOICES = {"man": (110.0, 1.0), "woman": (205.0, 1.17), "child": (330.0, 1.4)}  # fundamental (Hz), tract scale
INTONATIONS = ("rising like a question", "falling like a statement", "flat")


def _syllable(vowel: str, f0: np.ndarray, scale: float, rng: np.random.Generator, t: Timbre) -> s.Wave:
    n = len(f0)
    pulses = 1 - 2 * np.mod(s.phase(f0 * (1 + t.vibrato * np.sin(s.phase(6.0, n))), n) / (2 * np.pi), 1.0)
    source = pulses + 0.05 * s.noise(n, rng)
    voiced = s.shape_spectrum(source, s.vowel_gain(n, VOWELS[vowel], scale * t.tract))
    return voiced / max(s.rms(voiced), 1e-9) * s.envelope(n, 0.02, 0.05)


def speech_scene(rng: random.Random) -> Scene:
    """One to five vowel syllables by one or two voices, with an intonation."""
    count = rng.choice((1, 2, 2, 3, 3, 4, 4, 5))
    two_voices = count >= 2 and rng.random() < 0.35
    voices = [rng.choice(tuple(VOICES))] * count
    facts = {"syllables": NUMBERS[count - 1]}
    if count >= 2:
        facts["speakers"] = "two speakers" if two_voices else "one speaker"
    intonation = rng.choice(INTONATIONS)
    if two_voices:
        first, second = rng.sample(tuple(VOICES), 2)
        turn = rng.randint(1, count - 1)
        voices, intonation = [first] * turn + [second] * (count - turn), "flat"
    else:
        facts |= {"voice": voices[0], "intonation": intonation}
    vowels = [rng.choice(tuple(VOWELS))] * count
    if count >= 2 and rng.random() < 0.3:
        vowels = [rng.choice(tuple(VOWELS)) for _ in range(count)]
    if len(set(vowels)) == 1:
        facts["vowel"] = vowels[0]
    length, wobble = (0.26, 2 ** (rng.uniform(-1, 1) / 12))
    start = rng.uniform(0.03, 1.95 - 0.38 * count)

    def render(noise: np.random.Generator, timbre: Timbre) -> s.Wave:
        clip, n = np.zeros(s.seconds(DURATION)), s.seconds(length)
        bend = {"rising like a question": (0.85, 1.5), "falling like a statement": (1.3, 0.72), "flat": (1.0, 1.0)}
        contour = np.geomspace(*bend[intonation], count * n).reshape(count, n)
        for i in range(count):
            f0, scale = VOICES[voices[i]]
            wave = _syllable(vowels[i], f0 * wobble * timbre.transpose * contour[i], scale, noise, timbre)
            s.mix_into(clip, wave, start + 0.38 * i)
        return clip

    return Scene("speech", facts, render)


SCENES: dict[str, Callable[[random.Random], Scene]] = {
    "sound": sound_scene,
    "music": music_scene,
    "speech": speech_scene,
}
