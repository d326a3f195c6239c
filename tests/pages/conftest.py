"""A browser for the tests of pages: Debian's chromium, without a window, driven by Playwright.

    def test_it(visit: Visit) -> None:
        page = visit(path, "#sort=n", dark=True)   # a playwright Page
        axe(page)

At the end of a test every page that it visited must have made no request, logged no error and broken no policy. A page
of a server may ask this server.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


class Visit:
    """``visit(path, hash="", dark=False, width=1280)`` opens a file, or an address, in a profile of its own.

    ``problems`` is what went wrong on any page: a request, an error or a warning of the console.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.problems: list[str] = []
        self.contexts: list[BrowserContext] = []

    def __call__(self, path: Path | str, hash: str = "", dark: bool = False, width: int = 1280) -> Page:
        colours: Any = "dark" if dark else "light"
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=colours)
        context.set_default_timeout(10_000)
        self.contexts.append(context)
        page, address = context.new_page(), path.resolve().as_uri() if isinstance(path, Path) else path
        allowed = address.__eq__ if isinstance(path, Path) else re.compile(re.escape(address)).match
        page.on("console", lambda said: self._note(said.text, said.type in ("error", "warning")))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda request: self._note(request.url, not allowed(request.url.split("#")[0])))
        page.goto(address + hash)
        return page

    def _note(self, problem: str, found: bool = True) -> None:
        if found:
            self.problems.append(problem)


# Not for the session: Playwright keeps an event loop running in this thread, which tests of other folders may not have.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens pages; fails the test if one of them had a problem."""
    found = Visit(browser)
    yield found
    for context in found.contexts:
        context.close()
    assert found.problems == []


def axe(page: Page) -> None:
    """axe-core finds nothing to mend in what the page shows now."""
    source = files("axe_playwright_python").joinpath("axe.min.js").read_text()
    # Past the page's policy, which has no place for a test's script.
    page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": source})
    found: dict[str, Any] = page.evaluate("() => axe.run()")
    told = [
        (each["id"], node["target"], node["failureSummary"]) for each in found["violations"] for node in each["nodes"]
    ]
    assert not told, json.dumps(told, indent=1)
