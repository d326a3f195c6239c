"""An HTTP client for servers that may say anything: a request ends in time, with a reply of a bounded size, from the
server that was named.

The openai client's own bounds the time between two parts of a reply, and neither all of them nor their size. It is made
of whatever HTTP library openai is made of, so no name of one stands here.
"""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

from openai import DefaultHttpxClient

MAX_BYTES = 16 * 2**20  # of a reply: more than any number of answers takes
_MARGIN = 1.1  # of the timeout: the library's own errors say more, and come first


class BadReply(Exception):
    """A reply that is not read to its end, and why. ``slow``: the same request may get a whole one later."""

    def __init__(self, why: str, slow: bool = False) -> None:
        super().__init__(f"the server's reply {why}")
        self.slow = slow


class BoundedClient(DefaultHttpxClient):
    """Follows no redirect, as questions and keys are for the server that the user names, and takes no compressed reply,
    which unpacks to any size.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout=timeout, follow_redirects=False, headers={"Accept-Encoding": "identity"})
        self._most = timeout * _MARGIN + 1

    def send(self, request: Any, **how: Any) -> Any:
        """The whole reply; ``BadReply`` for one that is too slow in all, too large or compressed."""
        until, found = time.monotonic() + self._most, list[Any]()
        ask = super().send  # there is no super() in the thread

        def work() -> None:
            try:
                found.append(_whole(ask(request, **{**how, "stream": True}), until))
            except Exception as error:
                found.append(error)

        # a server that sends its headers letter by letter keeps this thread, and nobody waits for that
        worker = Thread(target=work, daemon=True)
        worker.start()
        worker.join(self._most)
        reply = found[0] if found else BadReply("did not come to its end in time", slow=True)
        if isinstance(reply, Exception):
            raise reply
        return reply


def _whole(response: Any, until: float) -> Any:
    try:
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise BadReply("is compressed, which it was asked not to be")
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > MAX_BYTES:
                raise BadReply(f"is larger than {MAX_BYTES >> 20} MiB")
            if time.monotonic() > until:
                raise BadReply("did not come to its end in time", slow=True)
    finally:
        response.close()
    return type(response)(
        response.status_code, headers=response.headers, content=bytes(content), request=response.request
    )
