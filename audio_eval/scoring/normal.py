"""The normal form in which texts are compared: one spelling of signs, dashes, accidentals, markdown and LaTeX."""

from __future__ import annotations

import re
import unicodedata

# Han and kana are written without spaces: a word there needs no boundary around it.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A letter, digit or "_" of a script that is written with spaces.
SPACED = rf"[^\W{UNSPACED}]"

# '#', '+', '-', '/', '%' and '$' stay: "C#", "-5 dB" and "50%" differ from "C", "5 dB" and "50".
_EDGES = " \t\n.,;:!?_\"'()[]{}<>~。、，！？：；「」『』«»…"  # noqa: RUF001
# What is not seen: soft hyphen, joiners, marks of direction, byte order mark, variation selectors.
INVISIBLE = dict.fromkeys(
    [0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070),
     *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]
)  # fmt: skip
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("’‘‚‛ʼ", "'"),  # noqa: RUF001
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **dict.fromkeys("→⟶➔⇒", "->"),
        **dict.fromkeys("【\u3014", "["),
        **dict.fromkeys("】\u3015", "]"),
        "♯": "#",
        "♭": "b",
        "♮": None,
    }
) | INVISIBLE  # fmt: skip
# A long dash is a pause ("dog — not a cat"), between digits a range.
_LONG_DASH = re.compile(r"(?<=\d)\s*[\u2014\u2015]\s*(?=\d)|((?<!\s)\s*[\u2014\u2015]\s*)")
_BULLET = re.compile(r"^(?:[-+•#]+\s+)+")
BOX = r"\$?\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}\$?"
_BOXED = re.compile(BOX)
_LATEX_STYLE = re.compile(r"\\(?:text|math|bf|rm)\w*\s*\{([^{}]*)\}")
_LATEX_ESCAPE = re.compile(r"\\([%$&#_])")
_LATEX_MATH = re.compile(r"\\[()\[\]]|\$(?=\\?[A-Za-z(][^$\n]{0,80}\$)|(?<=[A-Za-z)}])\$(?!\w)")
# "E flat", "E-flat" and "E♭" are Eb, "C sharp" is C#; "a flat tone" is something else.
_ACCIDENTAL = re.compile(
    r"""(?<![\w'])(?: ([B-Gb-g])[ -]? | ([Aa])-
    | (A)\ (?=(?:flat|sharp)(?:\ (?:major|minor|maj|min|chord|key|scale)|\W*$)) )
    ((?i:flat|sharp))(?!\w)""",
    re.VERBOSE,
)


def plain(text: str) -> str:
    """The text in NFKC, with one sign for each quote, dash and accidental.

    Invisible characters, markdown emphasis, code ticks and LaTeX boxes are left out.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
        text = _LONG_DASH.sub(lambda dash: " - " if dash[1] else "-", text)
    if "\\" in text or "$" in text:
        text = _LATEX_MATH.sub("", _LATEX_STYLE.sub(r"\1", _BOXED.sub(_unbox, text)))
    text = text.replace("*", "").replace("`", "")
    if any(word in text for word in ("flat", "Flat", "FLAT", "sharp", "Sharp", "SHARP")):
        text = _ACCIDENTAL.sub(_accidental, text)
    return text.strip()


def _unbox(found: re.Match[str]) -> str:
    return _LATEX_ESCAPE.sub(r"\1", _LATEX_STYLE.sub(r"\1", found[1])).strip()


def _accidental(found: re.Match[str]) -> str:
    return f"{(found[1] or found[2] or found[3])}{'b' if found[4].lower() == 'flat' else '#'}"


def normalise(text: str) -> str:
    """The form in which two texts are compared: ``plain``, case folded, white space collapsed, edges trimmed.

    A text of punctuation alone is kept, so that "?" and "" stay different.
    """
    folded = " ".join(plain(text).casefold().split())
    return _BULLET.sub("", folded).strip(_EDGES) or folded


_LOOSE = (
    (re.compile(r"[\"']"), ""),
    (re.compile(r"_|(?<=[^\W\d])\s*-(?!>)\s*(?=[^\W\d])"), " "),  # "hip-hop", "light_switch"
    (re.compile(r"\s*->\s*"), " -> "),
    (re.compile(r"\s*&\s*"), " and "),
    (re.compile(r"(?<=\d)(?:\s*-\s*|\s+to\s+)(?=\d)"), "-"),  # "5 to 10 seconds"
    (
        re.compile(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\d)\.0+(?!\d)|(?<=\d)\s+(?=[^\W\d]|[%°])"),
        "",
    ),  # "1,000", "3.0", "10 kHz"
    (re.compile(r"\s+"), " "),
)


def loose(normal: str) -> str:
    """A normal form in one of its spellings: without quotes and hyphens between letters, numbers and units alike.

    Two options may fall together here, so it only helps where the normal forms agree with none.
    """
    for pattern, instead in _LOOSE:
        normal = pattern.sub(instead, normal)
    return normal.strip()
