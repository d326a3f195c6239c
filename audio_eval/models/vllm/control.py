"""What a vLLM server is asked beside chat: which models it has, to load weights, to forget caches, to score tokens."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import requests

from audio_eval.errors import UserError

# what a path needs that the server may have been started without
_NEEDS = {
    "/v1/load_lora_adapter": "start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1, or hand over merged "
    "weights: --model-args merge=true",
    "/reset_prefix_cache": "start it with VLLM_SERVER_DEV_MODE=1",
    "/reset_encoder_cache": "start it with VLLM_SERVER_DEV_MODE=1",
    "/collective_rpc": "start it with VLLM_SERVER_DEV_MODE=1; it must see this machine's folder for temporary files "
    "(TMPDIR)",
    "/v1/chat/completions/render": "start it with --enable-scale-out",
    "/inference/v1/generate": "start it with --enable-scale-out",
}
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Control:
    """Requests to the server whose chat API is at ``base_url``, such as "http://localhost:8000/v1". The key is that of
    the environment variable ``key_env``, if it is set. ``timeout`` is in seconds.
    """

    def __init__(self, base_url: str, key_env: str, timeout: float) -> None:
        self.root, self._timeout = base_url.rstrip("/").removesuffix("/v1"), timeout
        self._session = requests.Session()
        self._session.trust_env = urlsplit(base_url).hostname not in _LOCAL  # no proxy on the way to this machine
        if key := os.environ.get(key_env, "").strip():
            self._session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str) -> Any:
        """What the server answers. ``UserError`` where it does not."""
        return self._ask("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        """What the server answers to this body. ``UserError`` that names what it lacks where it refuses it."""
        return self._ask("POST", path, json=body)

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        where = f"the vLLM server at {self.root}"
        try:
            reply = self._session.request(method, self.root + path, timeout=self._timeout, **more)
        except requests.RequestException as error:
            raise UserError(f"{where} does not answer {path} ({type(error).__name__}): is it running?") from None
        if not reply.ok:
            need = f": {_NEEDS[path]}" if path in _NEEDS else ""
            raise UserError(f"{where} refuses {path} ({reply.status_code} {_message(reply)}){need}.")
        return reply.json() if reply.headers.get("content-type", "").startswith("application/json") else reply.text


def _message(reply: requests.Response) -> str:
    """What is wrong, of OpenAI's or FastAPI's kind of error."""
    try:
        found = reply.json()
        said = found.get("error", found)
        text = str(said.get("message", said.get("detail", said)) if isinstance(said, dict) else said)
    except (ValueError, AttributeError):
        text = reply.text
    return " ".join(text.split())[:300].rstrip(".")
