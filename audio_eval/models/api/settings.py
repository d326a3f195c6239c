"""Settings of the api backend (``--model-args``)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from audio_eval.errors import UserError
from audio_eval.models.backends import BackendConfig
from audio_eval.redact import redacted_text


class ServerSettings(BackendConfig):
    """``base_url``, ``seed`` and ``audio`` may decide what is answered; all others change speed and cost only."""

    base_url: str | None = Field(
        default=None, description="the server, as http://localhost:8000/v1; null: what OPENAI_BASE_URL says"
    )
    key_env: str = Field(
        default="OPENAI_API_KEY", description="environment variable that holds the key, if one is needed"
    )
    concurrency: int | None = Field(
        default=None, ge=1, le=1024, description="requests under way at once, at most; null: as many as --batch-size"
    )
    timeout: float = Field(default=300.0, gt=0, description="seconds that a try may take")
    retries: int = Field(default=8, ge=0, description="tries after a failed one: HTTP 429, 5xx, timeout, no connection")
    max_wait: float = Field(
        default=120.0, gt=0, description="longest pause before a further try in seconds, whatever Retry-After says"
    )
    seed: bool = Field(default=True, description="send a seed with every request; false for servers that refuse it")
    audio: Literal["original", "wav"] = Field(
        default="original", description="original: MP3 and 16-bit WAV files are sent as they are; wav: nothing but WAV"
    )
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the server calls the limit of a completion"
    )
    price_in: float | None = Field(default=None, ge=0, description="price of a million prompt tokens, for the cost")
    price_out: float | None = Field(default=None, ge=0, description="price of a million completion tokens")
    price_audio: float | None = Field(
        default=None, ge=0, description="price of a million prompt tokens of sound; null: that of the others"
    )

    @field_validator("key_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not name.isidentifier() or redacted_text(name) != name:  # the key itself, which must not be printed
            raise UserError("backend 'api': key_env is the name of an environment variable, not the key.")
        return name
