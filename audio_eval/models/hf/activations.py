"""What the forward pass of a training step keeps for the backward pass, in bytes.

Counted from the layers as transformers and peft write them. ``b`` is the size of a number in the multiplications (4 in
float32, 2 in bfloat16), ``r`` that of the residual stream and of the norms, which compute in float32: 4 in any case.
The terms stand in the order of the layer; a tensor that two operations keep counts once.
"""

from __future__ import annotations

from math import prod

from audio_eval.models.hf.dimensions import Dimensions, Tower
from audio_eval.models.policy import Training


def layer(d: Dimensions, training: Training, b: int) -> int:
    """Bytes that a layer of the language model keeps per token.

    A norm keeps its input in float32 and, where its weight is trained, the normalised input as well. A projection keeps
    its input if its weight or an adapter is trained; under autocast each has a copy of its own (q, k, v; gate, up).
    Attention keeps queries, keys and values, which a mask makes it repeat to the width of the queries, its output, and
    a log-sum-exp per head. Gate, its activation, up, and their product are kept between the feed-forward projections.
    """
    full = training.tune == "full"
    norms = 2 * (4 * d.hidden * (2 if full else 1) + 4)
    inputs = b * d.hidden * (2 if b == 4 else 5)
    attention = b * 4 * d.queries + 4 * d.heads
    copied = 0 if full or b == 4 else b * d.queries  # of its output, for the adapter of the projection behind it
    adapters = 0 if full else b * 7 * training.lora_r
    return norms + inputs + attention + copied + b * 4 * d.inner + adapters


def kept_layer_input(d: Dimensions, training: Training, b: int) -> int:
    """Bytes per token and layer with checkpointing: the residual stream, in float32 where the norms are trained."""
    return d.hidden * (4 if training.tune == "full" else b)


def around(d: Dimensions, training: Training, b: int) -> int:
    """Bytes per token outside of the layers: what the last norm keeps, as in ``layer``; the embeddings where the first
    layer does not keep them; cosine and sine of the position.
    """
    if training.tune == "full":
        return 8 * d.hidden + 8 * d.head_dim
    return (4 if training.checkpointing else b) * d.hidden + 2 * b * d.head_dim


def tower_layer(tower: Tower, b: int) -> int:
    """Bytes that a layer of a trained audio tower keeps per position: as ``layer``, with layer norms (which keep their
    input and two numbers), a feed-forward part of two projections, and as many keys as queries.
    """
    norms = 2 * (4 * tower.width + 8)
    inputs = b * tower.width * (2 if b == 4 else 4)
    return norms + inputs + b * 4 * tower.width + 4 * tower.heads + b * 2 * tower.inner


def casts(d: Dimensions, training: Training, b: int) -> int:
    """Copies of trained weights in the dtype of the multiplications, which autocast makes once per forward pass.

    The table of embeddings is looked up, not multiplied.
    """
    if b == 4:
        return 0
    return b * sum(prod(shape) for name, shape in d.trained(training).items() if len(shape) > 1 and name != d.table)
