"""Chat templates come with checkpoints, whoever made them: each rendering is tried in bounds before it is done.

transformers renders them in Jinja's sandbox, in which a loop or a text may still be of any size. The trial has its
options and functions, so that what it says is that the same rendering ends, and is not too large.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser

from audio_eval.errors import UserError
from audio_eval.sandbox import FAILURES, Sandbox, measured_filter, render
from audio_eval.template_budget import Exceeded, budget


class TemplateFails(UserError):
    """A chat template is no template, or cannot take the conversation: perhaps a system text."""


def bound_chat_template(tokenizer: Any, source: str) -> None:
    """Make the tokenizer of the model ``source`` try its chat template first.

    Its ``apply_chat_template`` then raises ``UserError`` where the template takes more than it may, and
    ``TemplateFails`` where it fails.
    """
    apply = tokenizer.apply_chat_template

    @wraps(apply)
    def tried(conversation: Any, **settings: Any) -> Any:
        own = settings.get("chat_template") or tokenizer.chat_template
        template = own.get("default", "") if isinstance(own, Mapping) else own
        given = {**tokenizer.special_tokens_map, "tools": None, "documents": None, **settings}
        try:
            render(_compiled(template), {**given, "messages": conversation})
        except Exceeded as error:
            raise UserError(f"the chat template of '{source}' is refused: {error}.") from None
        except FAILURES as error:
            raise TemplateFails(
                f"the chat template of '{source}' fails: {type(error).__name__}: {error!s:.300}"
            ) from None
        return apply(conversation, **settings)

    tokenizer.apply_chat_template = tried


@lru_cache(maxsize=16)
def _compiled(template: str) -> Template:
    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    environment.filters["tojson"] = measured_filter("tojson", _tojson)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    with budget():
        return environment.from_string(template)


class _Generation(Extension):
    """The tag by which transformers marks what the assistant says."""

    tags = {"generation"}  # noqa: RUF012  (Jinja's own form)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """What is between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value: Any, ensure_ascii: bool = False, indent: Any = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise(message: str) -> None:
    raise TemplateError(message)
