"""The vllm policy: one request for each question, with all its samples, which vLLM runs in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.checkpoint import Checkpoint, fetch, load_checkpoint, without_weights
from audio_eval.models.hf.files import adapter_name
from audio_eval.models.hf.merge import merge_adapter
from audio_eval.models.hf.sampler import Endings, end_ids, grouped
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.models.vllm.engine import Engine
from audio_eval.models.vllm.prompts import Asked, ask, check_prompt, request
from audio_eval.models.vllm.settings import VLLMSettings
from audio_eval.questions import Question
from audio_eval.seeding import stream


class VLLMPolicy:
    """A Policy that ``ReadsTokens`` and ``TakesWeights``.

    Prompts are those of the hf policy, id for id. Draws are not: vLLM has random numbers of its own. They start anew
    with every call of ``generate``, keyed by the run's seed, the stream and the ids of the questions, so that the same
    call draws the same samples on the same machine.
    """

    def __init__(self, entry: ModelEntry, settings: VLLMSettings, limits: Limits) -> None:
        self._entry, self._settings, self._limits = entry, settings, limits
        folder = fetch(entry.source, entry.revision)
        self._checkpoint = without_weights(entry.source, folder)
        if self._checkpoint.family.owns_adapter and getattr(self._checkpoint.model.config, "has_lora_adapter", False):
            raise UserError(
                f"'{entry.source}' hears through an adapter of its own, which vLLM leaves out: --backend hf."
            )
        self._end_ids = end_ids(_generation_config(folder, self._checkpoint), self.tokenizer)
        self._engine = Engine(entry.source, folder, settings.beside(limits.training), limits.device)
        self._written = False  # whether the weights are others than the unadapted model's
        name, revision = entry.name, self._checkpoint.revision
        if entry.adapter:
            name, revision = f"{name}+{adapter_name(entry.adapter)}", self._merge(entry.adapter)
        self.info = PolicyInfo(name, revision, "vllm", self._engine.device, trainable=False)

    @property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer, with a chat template that takes audio."""
        return self._checkpoint.tokenizer

    @property
    def max_length(self) -> int:
        """How many tokens a prompt and its completion may have together; vLLM keeps the place of one more."""
        return self._engine.max_model_len - 1

    # --- generation ------------------------------------------------------------------------------------------------

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """One Group per question, in order. Greedy samples are all alike, and are decoded once."""
        drawn = 1 if sampling.temperature == 0 else sampling.n
        settings: dict[str, Any] = {
            "n": drawn, "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens or self._limits.max_tokens,
            "stop_token_ids": sorted(self._end_ids), "ignore_eos": True,  # the end tokens are the hf backend's
            "stop": list(sampling.stop) or None, "detokenize": bool(sampling.stop),
        }  # fmt: skip
        if sampling.temperature > 0:
            settings |= {"top_p": sampling.top_p, "top_k": sampling.top_k or 0}
        draws = stream(sampling.seed or 0, " ".join(question.id for question in questions), sampling.stream)
        asked = [ask(self._checkpoint, question, self._limits.long_audio) for question in questions]
        outputs = iter(
            self._run([(each, ()) for each in asked if isinstance(each, Asked)], settings, int(draws.integers(2**31)))
        )
        endings, groups = Endings(self.tokenizer, self._end_ids, sampling.stop), []
        for question, each in zip(questions, asked, strict=True):
            found = next(outputs) if isinstance(each, Asked) else each
            if isinstance(found, str) or isinstance(each, str):
                groups.append(Group(question, (), (), error=str(found)))
                continue
            rows = Counter(tuple(one.token_ids) for one in found.outputs)
            ended = [(endings.completion(row, cut=True), n * (sampling.n // drawn)) for row, n in rows.items()]
            groups.append(_heard(grouped(question, [(one, n) for one, n in ended if one is not None], sampling), each))
        return groups

    def encode(self, question: Question, text: str) -> Group:
        """A group of one given completion, closed by the end token."""
        tokens = (*self.tokenizer.encode(text, add_special_tokens=False), self.tokenizer.eos_token_id)
        return Group(question, (Completion(text, tokens),), (1,))

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their completions' log-probabilities. The prompt is forwarded for each completion.

        ``UserError`` for groups drawn at another temperature than 1: vLLM tells those of the model's own distribution.
        """
        if any(group.temperature != 1 for group in groups):
            raise UserError("vLLM scores completions at temperature 1 alone; those drawn at another need --backend hf.")
        asked = [ask(self._checkpoint, group.question, self._limits.long_audio) for group in groups]
        wanted = [
            (each, completion.token_ids)
            for group, each in zip(groups, asked, strict=True) if isinstance(each, Asked)
            for completion in group.completions
        ]  # fmt: skip
        settings = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "detokenize": False}
        outputs = iter(self._run(wanted, settings))
        return [_scored(group, each, outputs) for group, each in zip(groups, asked, strict=True)]

    def _run(
        self, wanted: Sequence[tuple[Asked, Sequence[int]]], settings: Mapping[str, Any], seed: int = 0
    ) -> list[Any]:
        """The output for each question with the beginning of an answer, or why it refuses it (a text)."""
        requests = [request(self._checkpoint, each, beginning) for each, beginning in wanted]
        outputs = self._engine.run(requests, settings, seed)
        for given, output in zip(requests, outputs, strict=True):
            if not isinstance(output, str):
                check_prompt(self._checkpoint, given["prompt_token_ids"], output.prompt_token_ids)
        return outputs

    # --- weights of a trainer --------------------------------------------------------------------------------------

    @property
    def takes_adapters(self) -> bool:
        """Whether vLLM has LoRA for the model's class, and ``lora_rank`` has been set."""
        return self._engine.takes_adapters

    def take_adapter(self, folder: Path) -> None:
        """Sample with the LoRA adapter in ``folder``, under vLLM's names. ``UserError`` for one that is not known."""
        if not self.takes_adapters:
            raise UserError(f"'{self.info.name}' takes no adapters: vLLM has no LoRA for its class, or lora_rank is 0.")
        self._engine.take_adapter(folder)

    def take_weights(self, tensors: Mapping[str, torch.Tensor], tower_changed: bool) -> None:
        """Replace weights, by transformers' names; all parameters of a layer come together."""
        named = {self._checkpoint.family.vllm_weight(name): tensor.detach() for name, tensor in tensors.items()}
        self._written = True
        self._engine.replace_weights(named, tower_changed)

    def drop_weights(self) -> None:
        """The unadapted model again: without a trainer's adapter, its weights read anew if they were written over."""
        self._engine.drop_adapter()
        if self._written:
            self._engine.read_weights()
            if self._entry.adapter:
                self._merge(self._entry.adapter)
            self._written = False

    def _merge(self, adapter: str) -> str:
        """Write the weights that an adapter of ``--adapter`` makes, which hf computes; their revision."""
        entry = self._entry
        base = load_checkpoint(entry.source, torch.device("cpu"), self._engine.dtype, entry.revision)
        merged = merge_adapter(base, adapter, entry.source)
        family = merged.family
        tensors = {n: p.detach() for n, p in merged.model.named_parameters() if family.is_trained(n, train_tower=True)}
        self._engine.replace_weights({family.vllm_weight(n): t for n, t in tensors.items()}, tower_changed=True)
        return merged.revision


def _generation_config(folder: Path, checkpoint: Checkpoint) -> GenerationConfig:
    """As transformers gives it to the model."""
    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    return GenerationConfig.from_model_config(checkpoint.model.config)


def _scored(group: Group, asked: Asked | str, outputs: Any) -> Group:
    """The group with log-probabilities of the next ``outputs``; without them, where one of these is a reason."""
    if isinstance(asked, str):
        return Group(group.question, (), (), error=asked)
    found = [next(outputs) for _ in group.completions]
    if reason := next((one for one in found if isinstance(one, str)), None):
        return Group(group.question, (), (), error=reason)
    scored = []
    for completion, output in zip(group.completions, found, strict=True):
        tokens = completion.token_ids
        told = (
            [given[token] for given, token in zip(output.prompt_logprobs[-len(tokens) :], tokens, strict=True)]
            if tokens
            else []
        )
        scored.append(replace(
            completion, logprobs=tuple(one.logprob for one in told), greedy=all(one.rank == 1 for one in told)
        ))  # fmt: skip
    return _heard(replace(group, completions=tuple(scored)), asked)


def _heard(group: Group, asked: Asked) -> Group:
    """The group with what the model was given to hear."""
    seconds, truncated = sum(clip.seconds for clip in asked.clips), any(clip.truncated for clip in asked.clips)
    return replace(group, truncated=truncated, audio_seconds=seconds)
