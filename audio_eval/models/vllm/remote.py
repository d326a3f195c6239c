"""The vllm policy behind a server, which we started or which runs: chat by the api policy, weights over HTTP."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import soundfile
import torch
from safetensors.torch import save_file

from audio_eval.audio import RATE, AudioError
from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.api.messages import Message, turn
from audio_eval.models.api.policy import APIPolicy
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import Limits
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.models.vllm.control import Control
from audio_eval.models.vllm.server import VLLMServer
from audio_eval.openai_client import OpenAIClient
from audio_eval.questions import Question, too_long

log = logging.getLogger(__name__)
T = TypeVar("T")
_SHARD_BYTES = 2 << 30  # of the files that weights are handed over in
RESTARTS = 5  # of a server of ours that ends, until a call is answered without


class _Ended(Exception):
    """The server that we started has ended."""


class VLLMServerPolicy(APIPolicy):
    """A Sampler. ``model`` is what the server calls the unadapted model, ``rename`` makes transformers' names vLLM's.

    Recordings are sent as the hf engine hears them, at 16 kHz and as floats, and completions come with their tokens.
    Weights go through folders that the server must be able to read. ``server`` is the one that we started, if we did:
    where it ends, it is started again, with the weights that it had; ``restarts`` counts that.
    """

    def __init__(
        self, info: PolicyInfo, model: str, client: OpenAIClient, control: Control, settings: ServerSettings,
        limits: Limits, rename: Callable[[str], str], takes_adapters: bool, server: VLLMServer | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, client, settings, limits, info.revision)
        self.info, self.takes_adapters = info, takes_adapters
        self._control, self._rename, self._server = control, rename, server
        self._unadapted, self._adapters = model, 0
        self._adapter: tuple[str, Path] | None = None  # its name there, and its folder
        self.restarts = self._in_a_row = 0
        self._weights: tempfile.TemporaryDirectory[str] | None = None

    # --- generation ------------------------------------------------------------------------------------------------

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        """As the api policy. Where a server of ours ends, each question is tried once more by itself, and has failed
        where the server ends again. ``UserError`` with its last words where it does not come up any more.
        """
        ask = super().generate
        try:
            groups = self._survived(partial(ask, questions, sampling))
        except _Ended:
            self._restart()
            return [self._once_more(partial(ask, [question], sampling), question) for question in questions]
        self._in_a_row = 0
        return groups

    def _once_more(self, ask: Callable[[], list[Group]], question: Question) -> Group:
        try:
            return self._survived(ask)[0]
        except _Ended:
            said = self._restart()
            return Group(question, (), (), error=f"the vLLM server ended twice when it was asked this ({said})")

    def _messages(self, question: Question) -> tuple[list[Message], float]:
        clips = [recording.load(RATE) for recording in question.audios]
        files = []
        for samples in clips:
            written = io.BytesIO()
            soundfile.write(written, samples, RATE, format="WAV", subtype="FLOAT")
            files.append((written.getvalue(), "wav"))
        return turn(question, files), sum(len(samples) for samples in clips) / RATE

    def _request(self, question: Question, messages: list[Any], first: int, sampling: Sampling) -> dict[str, Any]:
        request = super()._request(question, messages, first, sampling)
        # all is said: what is not, a server takes from the checkpoint's generation_config.json
        plain = {"top_k": sampling.top_k or 0, "min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True}
        return request | {"model": self._model, "top_p": sampling.top_p, "extra_body": plain}

    def _completion(self, choice: Any) -> Completion:
        return replace(super()._completion(choice), tokens=tuple(choice.token_ids))

    def logprobs(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with their completions' log-probabilities at temperature 1; each is a request."""
        return self._twice(lambda: [self._scored(group) for group in groups])

    def _scored(self, group: Group) -> Group:
        if reason := too_long(group.question):
            return Group(group.question, (), (), error=reason)
        try:
            messages, seconds = self._messages(group.question)
        except AudioError as error:
            return Group(group.question, (), (), error=str(error))
        asked = self._control.post("/v1/chat/completions/render", model=self._model, messages=messages)
        completions = []
        for completion in group.completions:
            told = self._control.post(
                "/inference/v1/generate", model=self._model, token_ids=[*asked["token_ids"], *completion.token_ids],
                features=asked["features"],
                sampling_params={"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0},
            )["prompt_logprobs"]  # fmt: skip
            last = told[len(told) - len(completion.token_ids) :]
            rows = [given[str(token)] for given, token in zip(last, completion.token_ids, strict=True)]
            completions.append(
                replace(
                    completion, logprobs=tuple(row["logprob"] for row in rows),
                    greedy=all(row["rank"] == 1 for row in rows),
                )
            )  # fmt: skip
        return replace(group, completions=tuple(completions), audio_seconds=seconds)

    # --- a server of ours that ends --------------------------------------------------------------------------------

    def _survived(self, ask: Callable[[], T]) -> T:
        """What is answered. ``_Ended`` where a server of ours has ended over it."""
        try:
            found = ask()
        except UserError:
            if self._server is not None and self._server.ended():
                raise _Ended from None
            raise
        failed = isinstance(found, list) and any(isinstance(one, Group) and one.error for one in found)
        if failed and self._server is not None and self._server.ended():
            raise _Ended
        return found

    def _twice(self, ask: Callable[[], T]) -> T:
        """What is answered, if need be by a server that was started again."""
        try:
            return self._survived(ask)
        except _Ended:
            self._restart()
        try:
            return self._survived(ask)
        except _Ended:
            assert self._server is not None
            self._server.check()
            raise

    def _restart(self) -> str:
        """Start the server again, with the weights that it had; what it said last. ``UserError`` where it does not come
        up, or has ended too often.
        """
        server = self._server
        assert server is not None
        self.restarts, self._in_a_row = self.restarts + 1, self._in_a_row + 1
        if self._in_a_row > RESTARTS:
            server.check()
        said = server.last_words
        log.warning("the vLLM server ended (%s), and is started again.", said)
        server.restart()
        try:
            if self._weights is not None:
                self._read_weights(self._weights.name)
            if self._adapter is not None:
                self._load_adapter(*self._adapter)
        except UserError:
            server.check()
            raise
        return said

    # --- weights of a trainer --------------------------------------------------------------------------------------

    @property
    def _model(self) -> str:
        """What the server calls the model with the weights that it has."""
        return self._adapter[0] if self._adapter else self._unadapted

    def take_adapter(self, folder: Path) -> None:
        """Ask for this adapter from now on. It has a name of its own: vLLM keeps what it knows of a name."""
        self._adapters += 1
        name = f"{self._unadapted}-adapter-{self._adapters}"

        def take() -> None:
            self._drop_adapter()
            self._load_adapter(name, folder)

        self._twice(take)

    def _load_adapter(self, name: str, folder: Path) -> None:
        self._control.post("/v1/load_lora_adapter", lora_name=name, lora_path=str(folder))
        self._adapter = name, folder
        self._control.post("/reset_prefix_cache")

    def take_weights(self, tensors: Mapping[str, torch.Tensor], tower_changed: bool) -> None:
        """Let the server read these weights from a folder. Its workers forget encoded clips then, changed tower or not,
        so its scheduler has to, too.
        """
        self._weights = self._weights or tempfile.TemporaryDirectory(prefix="audio-eval-weights-")
        write_weights(Path(self._weights.name), {self._rename(name): name for name in tensors}, tensors)
        self._twice(partial(self._read_weights, self._weights.name))

    def drop_weights(self) -> None:
        """The unadapted model again."""
        self._twice(self._drop_all)

    def _drop_all(self) -> None:
        self._drop_adapter()
        if self._weights is not None:
            listed = self._control.get("/v1/models")["data"]
            self._read_weights(next(card["root"] for card in listed if card["id"] == self._unadapted))
            self._weights.cleanup()
            self._weights = None

    def _read_weights(self, folder: str) -> None:
        self._control.post("/collective_rpc", method="reload_weights", kwargs={"weights_path": folder})
        self._control.post("/reset_prefix_cache")
        self._control.post("/reset_encoder_cache")

    def _drop_adapter(self) -> None:
        if self._adapter is not None:
            self._control.post("/v1/unload_lora_adapter", lora_name=self._adapter[0])
            self._adapter = None


def write_weights(folder: Path, named: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write ``tensors`` as safetensors of at most 2 GiB each, or a single larger tensor; ``named`` has their names in
    the files, and those that they are looked up by.
    """
    shard: dict[str, torch.Tensor] = {}
    count = 0
    for name, key in named.items():
        tensor = tensors[key].detach().cpu().contiguous()
        if shard and sum(one.nbytes for one in shard.values()) + tensor.nbytes > _SHARD_BYTES:
            save_file(shard, folder / f"model-{count:05d}.safetensors")
            shard, count = {}, count + 1
        shard[name] = tensor
    save_file(shard, folder / f"model-{count:05d}.safetensors")
