"""The hub: whether it can be reached, and whether there is a token. The token itself is never shown."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from audio_eval.doctor.child import in_child
from audio_eval.doctor.finding import Finding

SECONDS = 3.0
# A process of its own, as a request's timeout does not cover the look-up of a name.
_REACH = f"""
from huggingface_hub import constants
from huggingface_hub.utils import get_session
tell(get_session().head(constants.ENDPOINT, timeout={SECONDS}).status_code)
"""


def hub() -> Iterator[Finding]:
    """Offline by the user's wish, reachable, or not; in seconds in any case."""
    from huggingface_hub import constants, get_token

    host = urlsplit(constants.ENDPOINT).hostname
    if constants.HF_HUB_OFFLINE:
        yield Finding("hub", "ok", "offline (HF_HUB_OFFLINE): only what is on this machine is used")
    else:
        told = in_child(_REACH, SECONDS + 7)  # to import the client takes a second or two
        if told.values and told.values[0] < 500:
            yield Finding("hub", "ok", f"{host} answers")
        else:
            why = f"status {told.values[0]}" if told.values else _without_address(told.why or "")
            mend = "HF_HUB_OFFLINE=1 works with what is on this machine; see HTTPS_PROXY and HF_ENDPOINT for a way out"
            yield Finding("hub", "warning", f"{host} cannot be reached: {why}", mend)
    token = "is set" if get_token() else "none: models behind a licence need one (hf auth login)"
    yield Finding("hub's token", "ok", token)


def _without_address(why: str) -> str:
    """The kind of error alone: its text may quote an address with a password in it."""
    return why.partition(":")[0].rpartition(".")[2] or why
