"""From settings to a policy behind a server: the one that ``base_url`` names, or one of our own."""

from __future__ import annotations

import json
from typing import Any

import torch

from audio_eval.errors import UserError
from audio_eval.models.api.backend import API
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.hf.checkpoint import fetch
from audio_eval.models.hf.families import family_of
from audio_eval.models.hf.files import fingerprint, model_type, revision_of
from audio_eval.models.policy import PolicyInfo
from audio_eval.models.vllm.control import Control
from audio_eval.models.vllm.engine import arguments, has_lora
from audio_eval.models.vllm.remote import VLLMServerPolicy
from audio_eval.models.vllm.server import VLLMServer
from audio_eval.models.vllm.settings import VLLMSettings
from audio_eval.openai_client import OpenAIClient

_IN_PROCESS = ("worker_extension_cls",)  # an argument that a server has no use for


def connect(entry: ModelEntry, settings: VLLMSettings, limits: Limits) -> VLLMServerPolicy:
    """The policy. The checkpoint has to be here too: it tells the names of weights, and is what is trained."""
    settings = settings.beside(limits.training)
    folder = fetch(entry.source, entry.revision)
    if entry.adapter or limits.long_audio != "cut":
        what = "--adapter" if entry.adapter else "--long-audio"
        raise UserError(f"backend 'vllm': {what} goes with vLLM in this process: leave base_url and server out.")
    rename = family_of(model_type(folder), f"'{entry.source}'").vllm_weight
    server, on_cpu = None, not torch.cuda.is_available()
    if settings.base_url is None:
        lora, model = bool(settings.lora_rank) and has_lora(entry.source, folder), entry.name
        flags = [
            *_flags(arguments(settings, on_cpu, lora)), "--load-format", "safetensors", "--served-model-name", model,
            "--enable-scale-out",
        ]  # fmt: skip
        server = VLLMServer(str(folder), flags, settings.server_wait)
        words, revision = "a server of its own", revision_of(folder)
        asked = _asked(settings, f"{server.url}/v1", retries=2, seed=settings.seed and not on_cpu)
        control = _control(asked)
    else:
        asked = _asked(settings, settings.base_url, seed=settings.seed)
        control, known = _control(asked), known_of_server(entry, settings)
        model, lora = known["served as"], "/v1/load_lora_adapter" in control.get("/openapi.json").get("paths", {})
        words, revision = f"the server at {known['server']}", f"server {fingerprint(known)}"
    words = f"{words}, vLLM {control.get('/version')['version']}"
    info = PolicyInfo(entry.name, revision, "vllm", words, trainable=False)
    client = OpenAIClient(str(asked.base_url), key_env=asked.key_env, timeout=asked.timeout, retries=0)
    return VLLMServerPolicy(info, model, client, control, asked, limits, rename, lora, server)


def known_of_server(entry: ModelEntry, settings: VLLMSettings) -> dict[str, str]:
    """What the api backend knows of a server that runs, and of the entry's model there."""
    asked = _asked(settings, settings.base_url)
    return API().identity(entry.model_copy(update={"source": _served(_control(asked), entry)}), asked)


def _asked(settings: VLLMSettings, base_url: str | None, **other: Any) -> ServerSettings:
    """How the api policy asks a server."""
    return ServerSettings(base_url=base_url, concurrency=settings.concurrency, **other)


def _control(asked: ServerSettings) -> Control:
    return Control(str(asked.base_url), asked.key_env, asked.timeout)


def _served(control: Control, entry: ModelEntry) -> str:
    """What the server calls the model: the one that has the entry's name or source, or the only one."""
    cards = [card for card in control.get("/v1/models")["data"] if not card.get("parent")]
    names = {entry.source, entry.name}
    named = [card["id"] for card in cards if {card["id"], card.get("root")} & names]
    found = named or [card["id"] for card in cards]
    if len(found) != 1:
        raise UserError(
            f"the server at {control.root} has no model '{entry.source}', but {', '.join(found) or 'none'}."
        )
    return str(found[0])


def _flags(given: dict[str, Any]) -> list[str]:
    """Arguments of ``vllm.LLM`` as the server's command line has them."""
    flags: list[str] = []
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None and name not in _IN_PROCESS:
            flags += [f"--{option}", json.dumps(value) if isinstance(value, dict) else str(value)]
    return flags
