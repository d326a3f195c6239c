"""What a card can do at best: seconds that a part of gpu_check takes at its peaks, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audio_eval.models.hf.dimensions import Dimensions

# name -> multiplications (bfloat16, dense) and bytes per second, from the makers' data sheets; the first that fits
CARDS: dict[str, tuple[float, float]] = {
    "B200": (2250e12, 8.0e12), "H200": (989e12, 4.8e12), "H100 NVL": (835e12, 3.9e12), "H100 PCIe": (756e12, 2.0e12),
    "H100": (989e12, 3.35e12), "A100-SXM4-40GB": (312e12, 1.555e12), "A100-PCIE-40GB": (312e12, 1.555e12),
    "A100": (312e12, 2.0e12), "L40S": (362e12, 0.864e12), "A10": (125e12, 0.6e12), "L4": (121e12, 0.3e12),
    "RTX 4090": (165e12, 1.008e12),
}  # fmt: skip
_BYTES = 2  # of a weight, a key, a value in bfloat16


@dataclass(frozen=True)
class Card:
    """A card's peaks: multiplications and additions, and bytes, per second."""

    operations: float
    bandwidth: float

    def multiplying(self, parameters: int, tokens: int, passes: int = 1) -> float:
        """Seconds to multiply tokens with weights: 2 operations for each of either. ``passes``: 1 forward; 2 with the
        gradient of the inputs (adapters), 3 with that of the weights.
        """
        return 2 * parameters * tokens * passes / self.operations

    def token_steps(self, d: Dimensions, parameters: int, prompts: Sequence[int], samples: int, answer: int) -> float:
        """Seconds of the token steps of a batch: questions with ``prompts`` tokens, ``samples`` rows each.

        Each step reads all weights of layers and head, the prompts' keys and values, and the rows' own once, and
        multiplies the rows with the weights; whichever takes longer. The first token needs one row per question.
        """
        weights, seconds = parameters + d.vocabulary * d.hidden, 0.0
        for written in range(answer):
            rows = len(prompts) * (samples if written else 1)
            read = _BYTES * (weights + d.cached * (sum(prompts) + rows * written))
            seconds += max(read / self.bandwidth, self.multiplying(weights, rows))
        return seconds


def card(name: str) -> Card | None:
    """The card of this name; None for one that is not in the table."""
    return next((Card(*peaks) for part, peaks in CARDS.items() if part in name), None)


def against(seconds: float, bound: float | None) -> dict[str, float | None]:
    """The bound, and how many times as long it took; None where no bound is known."""
    return {"bound_s": bound, "times_bound": seconds / bound if bound else None}
