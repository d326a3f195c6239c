"""The server: where it listens, how it ends, and the browser that it opens."""

from __future__ import annotations

import secrets
import signal
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from audio_eval.errors import UserError
from audio_eval.view.site import Site

LOOPBACK = "127.0.0.1"
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")


def serve(paths: Sequence[Path], port: int, ready: Callable[[str], None]) -> None:
    """Serve the runs below ``paths`` until Ctrl-C, in the main thread; at a random port if ``port`` is 0.

    ``ready`` is told the address.
    """
    secret = secrets.token_urlsafe(16)  # other users of this machine can reach the port, too
    with tempfile.TemporaryDirectory(prefix="audio-eval-view-") as folder, listening(port) as listener:
        ready(f"http://{LOOPBACK}:{listener.getsockname()[1]}/{secret}/")
        serving = server(Site(paths, Path(folder)).app(secret))
        for name in STOPS:  # before uvicorn heeds some of them itself: what is raised in its loop would hang it
            if (stop := getattr(signal, name, None)) and signal.getsignal(stop) is not signal.SIG_IGN:
                signal.signal(stop, serving.handle_exit)
        serving.run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """A socket of this machine alone; ``UserError`` for a port that is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UserError(f"--port {port}: cannot be used ({error}); without --port a free one is taken.") from None
    listener.listen()
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """A server that says nothing, as the site says what fails, and does not wait for browsers when it ends.

    It leaves the logging of this process alone: to configure it anew closes all handlers, and some their stream.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, log_level="critical", access_log=False, server_header=False, lifespan="off",
            ws="none", http="h11", loop="asyncio", timeout_graceful_shutdown=1,
        )
    )  # fmt: skip


def open_browser(address: str) -> bool:
    """Open the address in a browser with windows, if there is one; one of the terminal would take it over."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    if type(browser) is webbrowser.GenericBrowser:
        return False
    threading.Thread(target=browser.open, args=(address,), daemon=True).start()
    return True
