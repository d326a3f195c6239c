"""``branches`` with shapes that repeat and memory that stays in place, so that a step can be captured as a CUDA graph.

Rows, questions, slots of a question, tokens of prompts and own tokens are padded to powers of two, so there are few
shapes. Padding is masked or not read: hidden states are those of ``Branches`` but for the order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache

from audio_eval.models.hf.branches import attention, places
from audio_eval.models.hf.graphs import Graphs
from audio_eval.models.hf.prefill import Prefill
from audio_eval.models.hf.transfer import pinned, to_device

_NAME = "audio_eval_static_branches"
ROWS, PROMPT, OWN = 8, 64, 16  # the smallest numbers of rows, of a prompt's tokens and of own tokens


def bucket(count: int, least: int = 1) -> int:
    """The smallest of ``least``, 2 * ``least``, 4 * ``least``, .. that is not below ``count``."""
    return least << (-(-int(count) // least) - 1).bit_length()


@dataclass(frozen=True)
class Shape:
    """What decides the work of a step: it has a graph of its own."""

    rows: int
    questions: int
    slots: int  # of a question: as many as the rows of the one that has most
    prompt: int  # tokens
    own: int  # tokens


class Memory:
    """What steps read and write, at addresses that last: named flat tensors, of which each shape uses the beginning.

    They grow and never shrink. They begin as zeros: masked positions are multiplied by zero, and what was never written
    might be no number. When one grows, the graphs are freed, which know the old address.
    """

    def __init__(self, graphs: Graphs, device: torch.device) -> None:
        self._graphs, self._device = graphs, device
        self._flat: dict[str, torch.Tensor] = {}

    def view(self, name: str, dtype: torch.dtype, *shape: int) -> torch.Tensor:
        """The memory of this name in this shape."""
        size = int(np.prod(shape))
        if name not in self._flat or len(self._flat[name]) < size:
            self._graphs.drop()
            self._flat.pop(name, None)  # before there are two
            try:
                self._flat[name] = torch.zeros(size, dtype=dtype, device=self._device)
            except torch.OutOfMemoryError:
                self._graphs.give_up("memory was short")
                self._flat[name] = torch.zeros(size, dtype=dtype, device=self._device)
        return self._flat[name][:size].view(*shape)


class StaticBranches:
    """The same interface as ``Branches``. A ``Memory`` has one at a time."""

    def __init__(
        self, language_model: Any, prompts: Prefill, memory: Memory, graphs: Graphs, layer_masks: bool = True
    ) -> None:
        self._model, self._layer_masks, self._memory, self._graphs = language_model, layer_masks, memory, graphs
        self.hidden_RH = prompts.hidden_QH
        self._position_R = self._lengths = np.array(prompts.lengths)  # of the next token; of the prompts
        self._owner_R, self._done = np.arange(len(self._lengths)), 0  # own tokens that each row has
        self._own: torch.Tensor | None = None  # their keys and values, (layers, 2, R, kv heads, own, head dim)
        keys = prompts.layers[0][0]
        self._layers, self._kv, self._dim, self._dtype = len(prompts.layers), keys.shape[1], keys.shape[3], keys.dtype
        # the prompts' keys and values, (layers, 2, Q, kv heads, P, head dim)
        self._prompts, longest = self._make_prompts(), self._lengths.max()  # a part of a batch may be padded further
        for layer, pair in zip(self._prompts, prompts.layers, strict=True):
            for place, tensor in zip(layer, pair, strict=True):
                place[: len(tensor), :, :longest].copy_(tensor[:, :, :longest])

    def advance(self, parents: Sequence[int], tokens: Sequence[int]) -> None:
        """Make new rows: each is row ``parents[i]`` of before with ``tokens[i]`` appended. Other rows are dropped.

        Sets ``hidden_RH``, the last hidden states of the new rows, which the next call overwrites. ``parents`` is in
        rising order.
        """
        parent_R, moved = np.array(parents), list(parents) != list(range(len(self._owner_R)))
        self._owner_R, self._position_R = self._owner_R[parent_R], self._position_R[parent_R]
        self._drop_questions()
        questions, prompt = self._prompts.shape[2], self._prompts.shape[4]
        place_N, row_of_slot = places(self._owner_R, questions, self._kv, bucket)
        slots = len(row_of_slot) // (questions * self._kv)
        shape = Shape(bucket(len(tokens), ROWS), questions, slots, prompt, bucket(self._done + 1, OWN))
        own = self._move(parent_R if moved else None, shape)
        hidden_RH = self._memory.view("hidden", self.hidden_RH.dtype, shape.rows, self.hidden_RH.shape[1])
        step = _Step(self._model, self._layer_masks, shape, self._memory, self._prompts, own, hidden_RH)
        step.tell([np.array(tokens), self._position_R, np.array([self._done]), place_N, row_of_slot])
        self._graphs.run(shape, step)
        self.hidden_RH = hidden_RH[: len(tokens)]
        self._position_R, self._done = self._position_R + 1, self._done + 1

    def _make_prompts(self) -> torch.Tensor:
        """Memory for the prompts, and the bias that masks their padding."""
        questions, longest = bucket(len(self._lengths)), bucket(self._lengths.max(), PROMPT)
        lengths = np.pad(self._lengths, (0, questions - len(self._lengths)))
        bias_QP = np.where(np.arange(longest) < lengths[:, None], np.float32(0), np.float32(-np.inf))
        [sent] = to_device([bias_QP.ravel()], self._device)
        bias = self._memory.view("bias", self._dtype, questions, self._kv, 1, longest)
        bias.copy_(sent.view(questions, 1, 1, longest))
        return self._memory.view("prompts", self._dtype, self._layers, 2, questions, self._kv, longest, self._dim)

    @property
    def _device(self) -> torch.device:
        return self.hidden_RH.device

    def _drop_questions(self) -> None:
        """Drop the prompts without rows where the others fit a smaller bucket."""
        live, numbered_R = np.unique(self._owner_R, return_inverse=True)
        if bucket(len(live)) == self._prompts.shape[2]:
            return
        self._lengths, self._owner_R = self._lengths[live], numbered_R
        longest, [index] = int(self._lengths.max()), to_device([live], self._device)
        kept = self._prompts[:, :, :, :, :longest].index_select(2, index)
        self._prompts = self._make_prompts()
        self._prompts[:, :, : len(live), :, :longest].copy_(kept)

    def _move(self, parent_R: np.ndarray | None, shape: Shape) -> torch.Tensor:
        """The rows' own keys where a step of this shape has them, each row's parent's in its place."""
        size = (self._layers, 2, shape.rows, self._kv, shape.own, self._dim)
        if self._own is not None and (parent_R is not None or self._own.shape != size):
            rows = np.arange(len(self._owner_R)) if parent_R is None else parent_R
            [index] = to_device([rows], self._device)
            kept = self._own[..., : self._done, :].index_select(2, index)
            self._own = None  # the memory may have to grow
            self._own = self._memory.view("own", self._dtype, *size)
            self._own[:, :, : len(rows), :, : self._done].copy_(kept)
        elif self._own is None:
            self._own = self._memory.view("own", self._dtype, *size)
        return self._own


class _Step:
    """A forward pass of one token for each row, all of whose inputs and outputs are in a ``Memory``.

    G below are the query heads that share a key head, N the pairs of a row and a key head.
    """

    def __init__(
        self, language_model: Any, layer_masks: bool, shape: Shape, memory: Memory, prompts: torch.Tensor,
        own: torch.Tensor, hidden_RH: torch.Tensor,
    ) -> None:  # fmt: skip
        self._model, self._layer_masks, self.shape = language_model, layer_masks, shape
        self.prompts, self.kv, self._own, self._hidden_RH = prompts.flatten(2, 3), prompts.shape[3], own, hidden_RH
        self._sizes = [shape.rows, shape.rows, 1, shape.rows * self.kv, shape.questions * self.kv * shape.slots]
        self._numbers = memory.view("numbers", torch.long, sum(self._sizes))
        self._token_R, self._position_R, self._done, self.place_N, self.row_of_slot = self._numbers.split(self._sizes)
        self.bias = memory.view("bias", prompts.dtype, shape.questions * self.kv, 1, shape.prompt)
        self.own_bias = torch.empty(0)

    def tell(self, inputs: Sequence[np.ndarray]) -> None:
        """Write tokens (R,), positions (R,), the number of own tokens before (1,) and ``places``, in one transfer.

        A row of the padding has token 0 and reads the first question's prompt.
        """
        padded = [np.pad(part, (0, size - len(part))) for part, size in zip(inputs, self._sizes, strict=True)]
        self._numbers.copy_(pinned(padded, self._numbers.device), non_blocking=True)

    def __call__(self) -> None:
        """The forward pass, without anything that depends on what the memory holds."""
        positions = torch.arange(self.shape.own, device=self._done.device)
        self.own_bias = torch.zeros(self.shape.own, dtype=self.bias.dtype, device=self._done.device)
        self.own_bias.masked_fill_(positions > self._done, -torch.inf)
        with attention(self._model.config, _NAME):
            out = self._model(
                input_ids=self._token_R[:, None],
                attention_mask={"full_attention": None} if self._layer_masks else None,
                position_ids=self._position_R[:, None],
                past_key_values=_OwnKeys(self._own, self._done),
                use_cache=True,
                shared=self,
            )
        self._hidden_RH.copy_(out.last_hidden_state[:, -1])


class _OwnKeys(Cache):
    """The rows' own keys and values, written at one position of all rows."""

    def __init__(self, own: torch.Tensor, position: torch.Tensor) -> None:
        super().__init__(layers=[])
        self._own, self._position = own, position

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write, and return all of the layer, (R, kv heads, own, head dim)."""
        keys, values = self._own[layer_idx]
        return keys.index_copy_(2, self._position, key_states), values.index_copy_(2, self._position, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing that a model may rely on: positions are given."""
        return 0


def _static_attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: None, *, scaling: float,
    shared: _Step, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attention of queries (R, heads, 1, D) over their prompts and own keys (R, kv heads, own, D), in one softmax.

    As few kernels as possible: those of one token are so small that their number counts.
    """
    prompt_keys, prompt_values = shared.prompts[module.layer_idx]  # (Q * kv heads, P, D)
    rows, heads, _one, dim = query.shape
    group, length = heads // shared.kv, prompt_keys.shape[1]
    query_NGD = query.reshape(rows * shared.kv, group, dim)

    def to_slots(of_rows: torch.Tensor) -> torch.Tensor:  # (N, G, ..) to (Q * kv heads, slots * G, ..)
        return of_rows.index_select(0, shared.row_of_slot).view(len(prompt_keys), -1, of_rows.shape[-1])

    def to_rows(of_slots: torch.Tensor) -> torch.Tensor:  # and back
        return of_slots.view(-1, group, of_slots.shape[-1]).index_select(0, shared.place_N)

    on_prompt = torch.baddbmm(shared.bias, to_slots(query_NGD), prompt_keys.transpose(1, 2), alpha=scaling)
    on_own = torch.baddbmm(shared.own_bias, query_NGD, key.flatten(0, 1).transpose(1, 2), alpha=scaling)
    scores = torch.cat([to_rows(on_prompt), on_own], dim=-1)
    shares = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    heard = to_rows(to_slots(shares[..., :length]) @ prompt_values)
    out = torch.baddbmm(heard, shares[..., length:], value.flatten(0, 1))
    return out.view(rows, 1, heads, dim), None


AttentionInterface.register(_NAME, _static_attention)
