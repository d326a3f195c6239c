"""The pages of runs from a server on this machine: up to date while a run is under way, with sound from its files.

    directories -> leaderboard | report | comparison -> pages (drawn when asked for, kept until a file changes)
    recordings (a table of what the pages name) -> MP3 files, by ranges

Nobody else is served: the address is this machine's own, its path begins with a secret, a request by another name is
refused (DNS rebinding), and no path of a file is ever taken from a request.
"""

from __future__ import annotations
