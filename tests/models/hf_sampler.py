"""A second hf policy as the sampler of a SplitPolicy: real weights that are handed over by files and by names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from audio_eval.group import Group
from audio_eval.models.hf.handover import HandoverPolicy
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import PolicyInfo, Sampling, Training
from audio_eval.models.split import SplitPolicy
from audio_eval.questions import Question
from tests.models.conftest import Built


class HFSampler:
    """A Sampler. As in vLLM, a tensor of an adapter whose name it does not know is ignored without a word.

    ``faults`` are seeded: "names", no name of an adapter matches; "mlp", those of half of the modules do not; "stale",
    only the first weights are taken; "clips", recordings stay encoded although the tower changed.
    """

    def __init__(self, built: Built, takes_adapters: bool = True, lora_r: int = 4, faults: Sequence[str] = ()) -> None:
        self.policy = built.policy()
        self.takes_adapters, self._faults = takes_adapters, faults
        self.given: list[str] = []  # what it was handed
        if takes_adapters:
            self.policy.begin_training(Training(lora_r=lora_r, lora_alpha=2 * lora_r), 0)
        named = self.policy.model.state_dict().items()
        self._start = {name.replace(".base_layer.", "."): tensor.clone() for name, tensor in named}

    @property
    def info(self) -> PolicyInfo:
        return self.policy.info

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        return self.policy.generate(questions, sampling)

    def encode(self, question: Question, text: str) -> Group:
        return self.policy.encode(question, text)

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        return self.policy.logprobs(groups)

    def take_adapter(self, folder: Path) -> None:
        self.given.append("adapter")
        if "stale" in self._faults and len(self.given) > 1:
            return
        family, peft = self.policy.checkpoint.family, self.policy._trainer.peft
        own = {family.vllm_name(name): name for name in get_peft_model_state_dict(peft)}
        tensors = load_file(folder / "adapter_model.safetensors")
        if "names" in self._faults:
            tensors = {name.replace("language_model.model.", "model."): tensor for name, tensor in tensors.items()}
        if "mlp" in self._faults:
            tensors = {name.replace("mlp.", "ffn."): tensor for name, tensor in tensors.items()}
        set_peft_model_state_dict(peft, {own[name]: tensor for name, tensor in tensors.items() if name in own})
        self.policy._prefills.drop()

    def take_weights(self, tensors: Mapping[str, torch.Tensor], tower_changed: bool) -> None:
        self.given.append("weights, tower" if tower_changed else "weights")
        if "stale" in self._faults and len(self.given) > 1:
            return
        self._load(tensors)
        if tower_changed and "clips" not in self._faults:
            self.policy.encoder.frozen = False  # a new revision of the tower whenever its weights were written to

    def drop_weights(self) -> None:
        self.given.append("dropped")
        self._load(self._start)

    def _load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        own = {name.replace(".base_layer.", "."): tensor for name, tensor in self.policy.model.state_dict().items()}
        with torch.no_grad():
            for name, tensor in tensors.items():
                own[name].copy_(tensor)
        self.policy._prefills.drop()


def trainer_of(built: Built) -> HandoverPolicy:
    return HandoverPolicy(built.kind, str(built.folder), "cpu")


def split_of(sampler: HFSampler, built: Built, merge: bool = False) -> SplitPolicy:
    return SplitPolicy(sampler, lambda: trainer_of(built), merge)


def loaded(policy: SplitPolicy) -> HFPolicy:
    """Its trainer."""
    assert isinstance(policy._loaded, HFPolicy)
    return policy._loaded
