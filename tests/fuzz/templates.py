"""Templates: prompts, and those of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import patch

from tests.fuzz.target import Target, read


def template(data: bytes) -> None:
    """A prompt, and the chat template of a checkpoint, with a small part of the budget, unless it begins with "0"."""
    from audio_eval import template_budget

    budget = template_budget.BUDGET if data[:1] == b"0" else template_budget.BUDGET // 50
    with patch.object(template_budget, "BUDGET", budget):
        _render(data[1:].decode("utf-8", "replace"))


def _render(source: str) -> None:
    from audio_eval.models.hf.chat_templates import bound_chat_template
    from audio_eval.prompts import PromptTemplate

    prompt = PromptTemplate("mine", source)
    read(lambda: prompt.variables)
    read(lambda: prompt.render("What is heard?", ["a dog", "a cat", ""]))
    tokenizer = SimpleNamespace(
        chat_template=source, special_tokens_map={"bos_token": "<s>"}, apply_chat_template=lambda *_, **__: ""
    )
    bound_chat_template(tokenizer, "mine")
    chat = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard?"}]}]
    read(lambda: tokenizer.apply_chat_template(chat, add_generation_prompt=True))


def _templates() -> Iterator[bytes]:
    yield from (b"1" + source for source in _sources())
    yield b"0{{ 1 }}"


def _sources() -> Iterator[bytes]:
    from tests.test_sandbox import BOMBS, HONEST

    yield from (source.encode() for source in (*BOMBS.values(), *HONEST))
    yield (
        b"{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m.content %}{% if c.type == 'audio' %}<a>"
        b"{% else %}{{ c.text }}{% endif %}{% endfor %}<|im_end|>{% endfor %}"
        b"{{ raise_exception('no') if not messages }}"
    )
    yield b"{% generation %}{{ bos_token }}{% endgeneration %}{{ messages | tojson(indent=2) }}{{ strftime_now('%Y') }}"


TARGETS = {
    "template": Target(
        template, _templates, ("{{", "}}", "{%", "%}", "| ", "for x in ", "range(", "macro ", "namespace(", "~"),
        instrumented=("audio_eval", "jinja2"),
    ),
}  # fmt: skip
