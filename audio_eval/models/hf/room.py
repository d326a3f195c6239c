"""What a training is given where its settings leave that open: by the sizes of the model and of the device's memory.

Never by what happens to be free, so that the same run on the same card is cut the same way. On a CPU everything stays
as it always was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from audio_eval.models.hf.checkpoint import Checkpoint
from audio_eval.models.policy import Training

BUDGET = 16384  # tokens per micro-batch on a CPU, and where nothing is trained
LEAST, MOST = 1024, 65536  # on a GPU
_USABLE = 0.9  # of the device's memory: the rest is for fragments and for what kernels need
_MOMENTS = {"adamw": 8, "adamw_8bit": 2, "adamw_offloaded": 0}  # bytes for a trained parameter on the device
_LOGITS = 3  # float32 copies of a chunk of logits: themselves, their softmax, its gradient


def settled(
    training: Training, checkpoint: Checkpoint, trained: Iterable[torch.nn.Parameter], memory: int | None
) -> Training:
    """``training`` with ``checkpointing`` and ``token_budget`` chosen, for a GPU of so many bytes; None: a CPU.

    On a GPU full fine-tuning has checkpointing, and the budget is what its memory holds beside weights, gradients,
    moments and logits.
    """
    if training.checkpointing is None:
        on = training.tune == "full" and memory is not None
        training = training.model_copy(update={"checkpointing": on})
    if training.token_budget is not None:
        return training
    budget = BUDGET
    if memory is not None:
        count = sum(parameter.numel() for parameter in trained)
        fixed = sum(p.nbytes for p in checkpoint.model.parameters()) + count * (4 + _MOMENTS[training.optimizer])
        fixed += _LOGITS * 4 * training.logits_chunk * checkpoint.head.weight.shape[0]
        tokens = int((_USABLE * memory - fixed) / activation_bytes(training, checkpoint))
        budget = min(MOST, max(LEAST, tokens // LEAST * LEAST))
    return training.model_copy(update={"token_budget": budget})


def activation_bytes(training: Training, checkpoint: Checkpoint) -> float:
    """Bytes that a token of a micro-batch keeps for the backward pass in bfloat16, by the decoder's dimensions.

    The form is that of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022. Each
    layer keeps seven tensors of the hidden width in float32 (around its norms), eight in bfloat16 (inputs of linear
    layers, queries, keys, values) and three of the MLP's inner width. With ``checkpointing`` it keeps its input alone,
    in float32, and one layer at a time the rest. tests/models/test_room.py compares that with what PyTorch keeps.
    """
    config = checkpoint.language_model.config
    layers, hidden = config.num_hidden_layers, config.hidden_size
    layer = (7 * 4 + 8 * 2) * hidden + 3 * 2 * _inner(config)
    last = 2 * 4 * hidden  # the norm after the layers
    return float(last + (4 * hidden * layers + layer if training.checkpointing else layer * layers))


def _inner(config: Any) -> int:
    """The width within the MLP, of all experts that a token goes through; the widest where layers differ."""
    if experts := getattr(config, "num_experts_per_tok", None):
        return int(experts * config.moe_intermediate_size)
    width = config.intermediate_size
    return int(width if isinstance(width, int) else max(width))
