"""The api backend: any server that speaks OpenAI's chat API, such as vLLM, SGLang, llama.cpp or a provider's."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from audio_eval.errors import NotHere, UserError
from audio_eval.models.api.settings import ServerSettings
from audio_eval.models.backends import Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.openai_client import OpenAIClient

if TYPE_CHECKING:
    from audio_eval.models.api.policy import APIPolicy

_CHANGING = ("created", "permission")  # of an entry of /models: vLLM makes these anew for every request


class API:
    """A Backend. The name of a model is the one that the server has for it."""

    name = "api"
    Config = ServerSettings
    can_train = False

    def entry(self, model: str) -> ModelEntry:
        """The model as the server calls it, whatever else has this name."""
        return ModelEntry(source=model, summary="behind a server", backend=self.name, name=model)

    def locate(self, entry: ModelEntry) -> str:
        """Nowhere: a dry run asks no server, as its answers may cost money."""
        raise NotHere(f"{entry.source} is behind a server: a dry run asks it nothing")

    def identity(self, entry: ModelEntry, config: ServerSettings) -> dict[str, str]:
        """What can be known of a server's model: its address and name, and what the server lists of it.

        A server that lists other weights under the same name with the same words is not found out. ``UserError`` where
        it cannot be reached, or refuses the key.
        """
        client = _client(config, retries=2)
        outcome = client.models()
        if outcome.mend:
            raise UserError(outcome.mend)
        found = {"server": client.url, "served as": entry.source}
        for listed in outcome.completion or ():
            if listed.get("id") == entry.source:
                found |= {
                    f"/models {key}": client.clean(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str))
                    for key, value in sorted(listed.items())
                    if key not in _CHANGING and value is not None
                }
        return found

    def load(self, entry: ModelEntry, config: ServerSettings, limits: Limits) -> APIPolicy:
        """The model as a policy. Its revision is a digest of ``identity``, since nothing tells the weights'."""
        from audio_eval.models.api.policy import APIPolicy

        known = json.dumps(self.identity(entry, config), sort_keys=True)
        revision = f"server {sha256(known.encode()).hexdigest()[:12]}"
        return APIPolicy(entry.source, _client(config), config, limits, revision)


def _client(config: ServerSettings, retries: int = 0) -> OpenAIClient:
    """A client of the server. ``UserError`` where none is named, or the variable that ``key_env`` names is not set."""
    url = config.base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
    if not url:
        raise UserError(
            "backend 'api' needs a server: --model-args base_url=http://localhost:8000/v1, or OPENAI_BASE_URL."
        )
    if config.key_env != ServerSettings.model_fields["key_env"].default and not os.environ.get(config.key_env):
        raise UserError(f"backend 'api': the environment variable {config.key_env}, which key_env names, is not set.")
    return OpenAIClient(url, key_env=config.key_env, timeout=config.timeout, retries=retries)
