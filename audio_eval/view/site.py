"""What is at which address: the leaderboard with its runs, the report of a run, two runs side by side, recordings."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from audio_eval.audio import AudioRef
from audio_eval.clips import Clips
from audio_eval.compare import page as comparison
from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate
from audio_eval.leaderboard.cells import plain
from audio_eval.leaderboard.render import html as leaderboard
from audio_eval.pages import Page
from audio_eval.report import page as report
from audio_eval.terminal import say
from audio_eval.view.directories import Directories, records, result, stamp
from audio_eval.view.drawn import Drawn
from audio_eval.view.headers import WithHeaders
from audio_eval.view.links import Links
from audio_eval.view.recordings import Played, Recordings

HOSTS = ("127.0.0.1", "localhost")  # a name of another site that was made to mean this machine is none of them
SOURCES = {"media-src": "'self'", "img-src": "data:", "connect-src": "'self'"}  # added to the policy of a page
REFUSED = Page("audio_eval.view", "refused.html")


class Site:
    """The pages of the runs among and below ``paths``; recordings are kept in ``folder`` to be played."""

    def __init__(self, paths: Sequence[Path], folder: Path) -> None:
        self._directories, self._recordings, self._drawn = Directories(paths), Recordings(folder), Drawn()

    def app(self, secret: str) -> Starlette:
        """The application, all of it below ``/<secret>/``."""
        routes = [
            Route("/", self.leaderboard),
            Route("/runs/{run}/", self.report),
            Route("/compare/{a}/{b}/", self.comparison),
            Route("/sounds/{sound}.mp3", self.sound),
            Route("/sounds/{sound}.json", self.details),
        ]
        hosts = Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
        return Starlette(
            routes=[Mount(f"/{secret}", routes=routes)], middleware=[Middleware(WithHeaders), hosts],
            exception_handlers={Exception: _failed},
        )  # fmt: skip

    def leaderboard(self, request: Request) -> Response:
        """The tables of finished runs, and a list of all runs."""
        made_of = list(map(result, self._directories.folders().values()))
        return self._page(request, stamp(made_of), "", leaderboard.PAGE, self._leaderboard)

    def _leaderboard(self, page: Page) -> str:
        found = self._directories.read()
        links = Links(found)
        left_out = [directory.why for directory in found if directory.state == "left out"]
        page = replace(page, scripts=(*page.scripts, "audio_eval.view:runs.js"))
        rows = aggregate([directory.run for directory in found if directory.run])
        return leaderboard.page(rows, (), left_out, links.about, page, {"runs": list(map(links.line, found))})

    def report(self, request: Request) -> Response:
        """The report of a run."""
        folder, root = self._folder(request.path_params["run"]), "../../"
        beside = [result(other) for other in self._directories.folders().values() if other.parent == folder.parent]
        return self._page(
            request, stamp(records(folder), beside), root, report.PAGE,  # beside it may be its direct
            lambda page: report.report_page(folder, self._clips(root), page=page),
        )  # fmt: skip

    def comparison(self, request: Request) -> Response:
        """Two runs side by side."""
        keys, root = (request.path_params["a"], request.path_params["b"]), "../../../"
        a, b = map(self._folder, keys)
        reports = [f"{root}runs/{key}/" for key in keys]
        return self._page(
            request, stamp(records(a), records(b)), root, comparison.PAGE,
            lambda page: comparison.compare_page(a, b, self._clips(root), page, reports),
        )  # fmt: skip

    def sound(self, request: Request) -> Response:
        """A recording as MP3; a part of it where a range is asked for."""
        if (file := self._played(request).file) is None:  # the details say why
            raise HTTPException(404)
        return FileResponse(file, media_type="audio/mpeg")

    def details(self, request: Request) -> Response:
        """The length and the pictures of a recording, or why there are none."""
        return JSONResponse(self._played(request).details)

    def _page(self, request: Request, now: str, root: str, page: Page, draw: Callable[[Page], str]) -> Response:
        """What ``draw`` makes of the page; ``now`` stamps what it is made of, ``root`` leads to the first page."""
        headers = {"ETag": f'"{now}"', "Cache-Control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":  # asked every few seconds
            return HTMLResponse(headers=headers)
        try:
            text = self._drawn.page(request.url.path, now, lambda: draw(_live(page, now, root)))
        except (UserError, ValueError, OSError, RecursionError) as error:  # a damaged run
            reason = plain(error) or type(error).__name__
            text = _live(REFUSED, now, root).render("Nothing to show", {}, reason=reason).encode()
            return HTMLResponse(text, 422, headers)
        return HTMLResponse(text, headers=headers)

    def _folder(self, key: str) -> Path:
        folder = self._directories.folders().get(key)
        if folder is None:
            raise HTTPException(404, "There is no such run, or no longer.")
        return folder

    def _played(self, request: Request) -> Played:
        played = self._recordings.played(request.path_params["sound"])
        if played is None:
            raise HTTPException(404)
        return played

    def _clips(self, root: str) -> Clips:
        def address(audio: AudioRef, ending: str) -> str | None:
            key = self._recordings.key(audio)
            return key and f"{root}sounds/{key}.{ending}"

        return Clips(0, lambda audio: address(audio, "mp3"), lambda audio: address(audio, "json"))


def _live(page: Page, now: str, root: str) -> Page:
    """The page as this server has it: it keeps up with what it shows, and plays what the server has."""
    return replace(
        page,
        styles=(*page.styles, "audio_eval.view:view.css"),
        scripts=(*page.scripts, "audio_eval.view:live.js"),
        allow={**page.allow, **SOURCES},
        meta={"stamp": now, "root": root},
    )


def _failed(request: Request, error: Exception) -> Response:
    """A fault of ours: a line in the terminal, with its place."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    told = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    say(f"audio-eval view: {told}", err=True)
    return HTMLResponse(REFUSED.render("This page failed", {}, reason=plain(told)), 500)
