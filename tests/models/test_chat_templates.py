"""Chat templates that fail: one line that names the checkpoint, whatever is wrong (found by tests.fuzz)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from audio_eval.errors import UserError
from audio_eval.models.hf.chat_templates import TemplateFails, bound_chat_template

CHAT = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard?"}]}]


def tokenizer(source: str) -> SimpleNamespace:
    made = SimpleNamespace(chat_template=source, special_tokens_map={}, apply_chat_template=lambda *_, **__: "applied")
    bound_chat_template(made, "stranger/model")
    return made


@pytest.mark.parametrize(
    "source",
    [
        "{% if", "{{ 'a' | senter }}", "{% set messages.x = 1 %}", "{{ messages.nosuch.x }}", "{{ 'a'.nosuch() }}",
        "{{ nosuch + 1 }}", "{{ 1 / 0 }}", "{{ messages[9].role.x }}", "{{ raise_exception('no system text') }}",
        "{{ 'a' + 1 }}", "{{ '%d' % 'a' }}", "{% include 'x' %}",
    ],
)  # fmt: skip
def test_a_template_that_fails_is_one_line(source: str) -> None:
    with pytest.raises(TemplateFails, match=r"^the chat template of 'stranger/model' fails: \w+: ."):
        tokenizer(source).apply_chat_template(CHAT)


def test_one_that_takes_too_much_is_refused_and_a_good_one_applied() -> None:
    with pytest.raises(UserError, match="is refused: "):
        tokenizer("{{ 'a' * 10 ** 10 }}").apply_chat_template(CHAT)
    assert tokenizer("{{ messages[0].role }}").apply_chat_template(CHAT) == "applied"
