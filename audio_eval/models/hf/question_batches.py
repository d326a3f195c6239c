"""How many questions are sampled together on a GPU.

Both numbers follow from the card's whole memory and the settings, never from what happens to be free: a run that is
resumed cuts the same batches, and with them the same padding.
"""

from __future__ import annotations

import torch

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.hf.dimensions import cached

USUAL = 32  # questions per batch on a CPU, and on a card of 20 to 40 GB
_PER_USUAL = 20e9  # bytes of a card
MOST = 256
_USABLE = 0.9  # of the card; the rest is PyTorch's and the driver's
_WORK = 4e9  # bytes: logits and their sums (draws), the forward pass of prompts


def card_bytes(device: str | torch.device | None) -> int | None:
    """The memory of the card that ``device`` names, by default the first one; None: there is none."""
    if str(device or "cuda").partition(":")[0] != "cuda" or not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_properties(torch.device(device or "cuda")).total_memory


def questions_of_card(total: int) -> int:
    """Questions per batch where the user gives no number: 32 for each 20 GB, rounded down to a power of two, 32 to 256.

    A token step reads all weights for each batch, however many rows it has.
    """
    return min(MOST, USUAL << max(0, int(total / _PER_USUAL).bit_length() - 1))


def questions_that_fit(checkpoint: Checkpoint, total: int, token_budget: int, samples: int, max_tokens: int) -> int:
    """Questions, 32 or more, that a card of ``total`` bytes holds if all samples differ and are as long as allowed.

    Room is taken by the weights, and merged ones beside them where they fit (``rollout_weights``); by the prompts' keys
    and values, twice, as they are kept and copied; and per question by those of its rows, twice, as rows that branch
    are copied. The usual 32 are never fewer: that all samples differ from the first token on is rare.
    """
    key = cached(checkpoint.language_model.config) * checkpoint.head.weight.element_size()
    weights = sum(p.nbytes for p in checkpoint.model.parameters())
    room = total * _USABLE - weights
    room -= weights if weights <= room / 2 else 0
    room -= _WORK + 2 * token_budget * key
    return max(USUAL, int(room // (2 * samples * max_tokens * key)))
