"""Prompt templates by name: the Jinja files in this folder, or a file of the user's.

A template sees ``question``; ``choices``, a list that prints as Python's; ``letters`` ("A" to "Z", "AA", ...);
``lettered`` ("A. text", ...); and ``slots``: the options with "" where the official file has a null one (MMSU). The
template's name and a digest of its wording are recorded with every number, so that two wordings are never confused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from audio_eval.errors import UserError, unknown
from audio_eval.letters import letter_at

if TYPE_CHECKING:
    from jinja2 import Environment, Template

DEFAULT, OPEN = "r1_aqa", "op_ttrav_open"
SUFFIXES = (".jinja", ".jinja2", ".j2")
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_TAG = re.compile(r"<(answer|response)>", re.IGNORECASE)
_NAMES = ("question", "choices", "letters", "lettered", "slots")


@dataclass(frozen=True)
class PromptTemplate:
    """A template's name and source."""

    name: str
    source: str

    @property
    def version(self) -> str:
        """The name and a digest of the wording, without comments; recorded with every number."""
        return f"{self.name}@{sha256(_COMMENT.sub('', self.source).encode()).hexdigest()[:8]}"

    @property
    def about(self) -> str:
        """The comment at the beginning of the template, which says where its wording is from."""
        found = _COMMENT.match(self.source)
        return " ".join(found[0].strip("{}#-").split()) if found else ""

    @cached_property
    def variables(self) -> set[str]:
        """The variables that the template uses; ``UserError`` where it cannot be parsed or uses an unknown one."""
        from jinja2 import TemplateError, TemplateSyntaxError, meta

        from audio_eval.template_budget import budget

        try:
            with budget():
                used = meta.find_undeclared_variables(_environment().parse(self.source))
        except TemplateSyntaxError as error:
            raise UserError(f"prompt '{self.name}' line {error.lineno}: {error.message}.") from None
        except (TemplateError, ValueError) as error:  # an integer of thousands of digits is Python's own error
            raise UserError(f"prompt '{self.name}': {error}.") from None
        if strange := sorted(used - set(_NAMES)):
            raise unknown("variable", strange[0], _NAMES, f" in prompt '{self.name}'")
        return used

    @property
    def lettered(self) -> bool:
        """Whether the options are shown with letters."""
        return bool(self.variables & {"letters", "lettered"})

    @property
    def tagged(self) -> bool:
        """Whether it asks for the answer in ``<answer>`` tags."""
        return "<answer>" in _COMMENT.sub("", self.source)

    @property
    def slotted(self) -> bool:
        """Whether letters also count null slots."""
        return "slots" in self.variables

    def render(self, question: str, choices: Sequence[str]) -> str:
        """The user's turn. ``choices`` are the options in the order of their letters; "" is a null one (``slotted``).

        ``UserError`` where the template fails, or takes more than it may.
        """
        from audio_eval.sandbox import FAILURES, render

        letters = [letter_at(place) for place in range(len(choices))]
        try:
            return render(
                self._template,
                {
                    "question": question,
                    "choices": list(choices),
                    "letters": letters,
                    "lettered": [f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True)],
                    "slots": list(choices),
                },
            )
        except FAILURES as error:
            raise UserError(f"prompt '{self.name}': {type(error).__name__}: {error}.") from None

    def stated(self, choice: int, choices: Sequence[str]) -> str:
        r"""The response that names option ``choice`` in the way that the wording asks for, without any thinking.

        The option's text in ``<answer>`` or ``<RESPONSE>`` tags where the wording mentions them. Otherwise its letter
        where options have letters, else its text; in a ``\boxed{}`` where the wording mentions one.
        """
        wording = _COMMENT.sub("", self.source)
        if tag := _TAG.search(wording):
            return f"<{tag[1]}>{choices[choice]}</{tag[1]}>"
        answer = letter_at(choice) if self.lettered else choices[choice]
        return f"\\boxed{{{answer}}}" if "\\boxed" in wording else answer

    @cached_property
    def _template(self) -> Template:
        from audio_eval.template_budget import budget

        with budget():
            return _environment().from_string(self.source)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined

    from audio_eval.sandbox import Sandbox

    # Bounded, because a template may come from anybody; line breaks are part of the wording.
    return Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)


def named() -> list[str]:
    """Names of the templates that come with the package."""
    return sorted(path.name.removesuffix(".jinja") for path in _folder().iterdir() if path.name.endswith(".jinja"))


def find(name: str) -> PromptTemplate:
    """A named template, or that of a Jinja file; ``UserError`` where it does not exist or is broken."""
    if name.endswith(SUFFIXES):
        try:
            source = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"prompt file '{name}' cannot be read: {error}.") from None
        # The line break at the end of a file is not part of the wording.
        prompt = PromptTemplate(Path(name).stem, source.removesuffix("\n"))
    elif name in named():
        prompt = PromptTemplate(name, (_folder() / f"{name}.jinja").read_text(encoding="utf-8"))
    else:
        raise unknown("prompt", name, named())
    _ = prompt.variables  # raises where the template is broken
    return prompt


def _folder() -> Path:
    return Path(str(files("audio_eval.prompts")))
