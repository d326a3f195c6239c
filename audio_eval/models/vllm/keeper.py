"""Runs a server for as long as the process lives that wants it: ``python keeper.py LOG COMMAND...``, nothing imported.

Standard input is a pipe from this process's parent. It closes when the parent ends, however it does, and the server is
ended then, with all of its own processes. It has a session of its own: Ctrl-C in a terminal is left to the parent.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

GRACE_S = 20  # for the server to end by itself


def main(log: str, *command: str) -> int:
    """The server's exit code."""
    with open(log, "wb") as written:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT, start_new_session=True
        )
    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, lambda *_: tell(server, signal.SIGTERM))
    threading.Thread(target=end_with_parent, args=(server,), daemon=True).start()
    code = server.wait()
    tell(server, signal.SIGKILL)  # its processes that are left
    return code


def end_with_parent(server: subprocess.Popen) -> None:
    """Wait until the parent is gone, or has closed the pipe; then end the server."""
    while os.read(0, 1024):  # not sys.stdin, for whose lock this process would wait a second when it ends
        pass
    tell(server, signal.SIGTERM)
    try:
        server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        tell(server, signal.SIGKILL)


def tell(server: subprocess.Popen, what: signal.Signals) -> None:
    """Send a signal to the server and the processes that it started."""
    with suppress(ProcessLookupError):  # they have ended
        os.killpg(server.pid, what)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
