"""Page: one HTML file that needs no other and asks for none, from a template, styles, scripts and data.

Names and responses come from other people, so a text reaches a page in two ways only: through a template, which escapes
it, or in the data, which the scripts put into elements as text (``el`` in dom.js) and never as markup. A policy in the
file's head allows exactly the scripts and styles that are written here, so that nothing else would run.

    PAGE = Page("audio_eval.leaderboard.site", "index.html", styles=("index.css",), scripts=("board.js", "index.js"))
    text = PAGE.render("Leaderboard", data)
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

TOOLKIT = "audio_eval.pages"
STYLES = ("base.css", "table.css", "charts.css", "drawer.css", "screen.css")
EARLY = "theme.js"  # before the first paint
SCRIPTS = ("dom.js", "state.js", "table.js", "charts.js", "drawer.js", "copy.js")

_NOT_IN_A_SCRIPT = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Page:
    """A page: the files of ``package`` that make it, on top of the toolkit's.

    ``template`` extends ``base.html``. ``scripts`` are joined with the toolkit's in the order given and run as one
    module: each uses the names of those before it. Those of another package are named "package:file", as are styles.
    ``allow`` adds sources to the policy, as ``{"media-src": "data:"}``. ``meta`` are texts that scripts find in the
    head (``toldInHead`` in dom.js), for what is no data of the page's own.
    """

    package: str
    template: str
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    allow: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)

    def render(self, title: str, data: object, **names: object) -> str:
        """The file's text. ``data`` is what ``islandData()`` returns to the scripts; ``names`` are the template's.

        Text that UTF-8 cannot hold (lone surrogates) is replaced in what the template shows, and kept in ``data``.
        Raises ValueError for data that is not JSON, such as NaN.
        """
        from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

        environment = Environment(
            loader=ChoiceLoader([PackageLoader(package, "") for package in (self.package, TOOLKIT)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        early = _asset(TOOLKIT, EARLY)
        script, style = self._joined(SCRIPTS, self.scripts), self._joined(STYLES, self.styles)
        page = environment.get_template(self.template).render(
            **names,
            title=title,
            policy=policy([early, script], style, self.allow),
            meta=self.meta,
            early=trusted(early),
            style=trusted(style),
            script=trusted(script),
            island=island(data),
        )
        return _LONE_SURROGATE.sub("\ufffd", page)

    def _joined(self, toolkit: Iterable[str], own: Iterable[str]) -> str:
        places = [(TOOLKIT, name) for name in toolkit]
        for name in own:
            package, _, file = name.rpartition(":")
            places.append((package or self.package, file))
        return "\n".join(_asset(*place) for place in places)


class Written(str):
    """A value that is JSON already, made by ``written``."""


def written(value: object) -> Written:
    """A value as JSON. It raises what ``island`` does."""
    return Written(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


def written_list(values: Iterable[Written]) -> Written:
    """A list of written values: of thousands of items one at a time need be more than text."""
    return Written(f"[{','.join(values)}]")


def island(data: object) -> Markup:
    """Data as JSON that may stand in a script element: nothing in it ends the element, and any text survives. Values of
    an object may be ``Written``.

    Raises ValueError for NaN and infinities, TypeError for what JSON does not know.
    """
    if isinstance(data, Mapping):
        parts = (f"{written(key)}:{_as_written(value)}" for key, value in data.items())
        text = f"{{{','.join(parts)}}}"
    else:
        text = written(data)
    return trusted(_NOT_IN_A_SCRIPT.sub(lambda match: f"\\u{ord(match.group()):04x}", text))


def _as_written(value: object) -> Written:
    return value if isinstance(value, Written) else written(value)


def policy(scripts: Iterable[str], style: str, allow: Mapping[str, str]) -> str:
    """A content security policy that allows these texts alone, and the sources of ``allow``."""
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(map(_digest, scripts)),
        "style-src": _digest(style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {sources}" for name, sources in {**rules, **allow}.items())


def trusted(text: str) -> Markup:
    """A text of this package, or one that is escaped already, which a template takes as it is."""
    from markupsafe import Markup

    return Markup(text)


def _asset(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
