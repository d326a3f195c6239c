"""One item of synth_aqa as a pure function of (seed, split, index): its scene, its question, its audio."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from . import shift as shifts
from .questions import KINDS, SEEN
from .scenes import SCENES, Scene
from .signal import to_pcm16

SIZES = {"train": 6000, "validation": 400, "test": 600}


@dataclass(frozen=True)
class Item:
    """A question about a scene; ``doc()`` is MMAU's schema, ``pcm()`` the recording."""

    id: str
    split: str
    index: int
    seed: int
    scene: Scene
    shift: shifts.Shift
    kind: str
    question: str
    choices: tuple[str, ...]
    answer: str

    @property
    def phrasings(self) -> tuple[str, ...]:
        """The wordings that a question of this kind may have in this split."""
        return KINDS[self.kind].phrasings[: SEEN if self.split == "train" else None]

    def pcm(self) -> np.ndarray:
        """The recording, int16 mono at 16 kHz, shape (32000,)."""
        noise = np.random.Generator(np.random.PCG64([self.seed, sorted(SIZES).index(self.split), self.index]))
        return to_pcm16(shifts.apply(self.scene.render(noise, self.shift.timbre), self.shift, noise))

    def doc(self) -> dict[str, object]:
        """The item's metadata under MMAU's field names, without the audio."""
        kind = KINDS[self.kind]
        return {
            "id": self.id,
            "question": self.question,
            "choices": list(self.choices),
            "answer": self.answer,
            "task": kind.domain,
            "category": kind.category,
            "sub-category": self.kind,
            "difficulty": self.shift.difficulty,
            "split": self.split,
        }


def draw_choices(rng: random.Random, kind: str, answer: str) -> tuple[str, ...]:
    """Two to six options with the answer among them, in random order."""
    others = [option for option in KINDS[kind].pool if option != answer]
    wanted = rng.choices((2, 3, 4, 5, 6), weights=(1, 2, 4, 2, 2))[0]
    options = [answer, *rng.sample(others, min(wanted - 1, len(others)))]
    rng.shuffle(options)
    return tuple(options)


def make_item(seed: int, split: str, index: int) -> Item:
    """Draw item ``index`` of ``split``; the same arguments give the same item on every platform."""
    rng = random.Random(f"synth_aqa/{seed}/{split}/{index}")
    domain = tuple(SCENES)[index % len(SCENES)]
    scene = SCENES[domain](rng)
    kind = rng.choice(sorted(scene.facts))
    phrasings = KINDS[kind].phrasings[: SEEN if split == "train" else None]
    answer = scene.facts[kind]
    return Item(
        id=f"synth-{split}-{index:05d}",
        split=split,
        index=index,
        seed=seed,
        scene=scene,
        shift=shifts.clean(rng) if split == "train" else shifts.shifted(rng),
        kind=kind,
        question=rng.choice(phrasings),
        choices=draw_choices(rng, kind, answer),
        answer=answer,
    )
