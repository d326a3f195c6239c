"""What a model says in its own turn: without its thinking, other turns, special tokens and invisible characters."""

from __future__ import annotations

import re

from audio_eval.scoring.normal import INVISIBLE

_TAGS = r"(?:seed:)?(?:think|thinking|thought|thoughts|reasoning|analysis|reflection)"
# <think>, Mistral's [THINK], Kimi's ◁think▷, Cohere's <|START_THINKING|>, Sky-T1's <|begin_of_thought|>.
# Patterns of tokens begin with the character that all of them begin with: most of a text is passed over quickly.
_THINKING = re.compile(
    rf"""[<\[◁](?: (?P<close>/(?:{_TAGS}>|THINK\]|think▷) | \|(?:end_of_thought|end_thinking|/think)\|>)
    | {_TAGS}> | THINK\] | think▷ | \|(?:begin_of_thought|start_thinking|think)\|> )""",
    re.IGNORECASE | re.VERBOSE,
)
# Harmony's channels (gpt-oss), and what is left of them where a decoder skips special tokens.
_CHANNEL, _MESSAGE = "<|channel|>", "<|message|>"
_FINAL = re.compile(r"<\|channel\|>\s*final\b(?:(?!<\|message\|>).)*<\|message\|>", re.DOTALL)
_BARE_FINAL = re.compile(r"\A\s*analysis.*assistant\s*final(?=\S)", re.DOTALL)
_HEADER = re.compile(
    r"<(?:\|(?:im_start|start|start_header_id|end_header_id|role_end)\||start_of_turn)>", re.IGNORECASE
)
_OTHERS_TURN = re.compile(r"\A\s*(?:system|user|human)\s*(?:\n|:)", re.IGNORECASE)
_OWN_TURN = re.compile(r"^[ \t]*(?:assistant|model|gpt)[ \t]*(?:\n|:\s)", re.IGNORECASE | re.MULTILINE)
_OWN_HEADER = re.compile(r"\A\s*(?:assistant\s*(?:\n|:)|model\s*\n)\s*", re.IGNORECASE)
_END = re.compile(
    r"""<(?: /s | eos | eot | eom | end | end_of_turn | end_of_utterance | endoftext | end_of_text
    | [|\uff5c](?![^|\uff5c]{0,64}(?:think|thought|audio|vision|object|box|quad|header|role))
      [^|\uff5c<>\s]{0,40}(?:end|eos|eot|eom|return|stop)[^|\uff5c<>\s]{0,40}[|\uff5c] )> | \[EOS\]""",
    re.IGNORECASE | re.VERBOSE,
)
_MARKED = re.compile(r"[<\[◁](?!/?answer>)(?![\s\d'\"])")
_TOKEN = re.compile(
    r"<(?:[|\uff5c][^|\uff5c<>\s]{1,40}[|\uff5c]|/?s|bos|pad|unk|sep|cls|mask)>|\[(?:BOS|PAD|UNK|SEP|CLS|/?INST)\]",
    re.IGNORECASE,
)


def spoken(response: str) -> str:
    """What the response says outside its thinking: the last such part that is not blank, "" where there is none.

    Thinking that was never closed is no answer; where it was never opened, everything up to its end is thinking. What
    follows a token that ends the turn is of no account.
    """
    text = response if response.isascii() else response.translate(INVISIBLE)
    if _CHANNEL in text:
        finals = list(_FINAL.finditer(text, 0, text.rfind(_MESSAGE) + len(_MESSAGE)))  # one without an end has none
        text = text[finals[-1].end() :].partition(_CHANNEL)[0] if finals else text.partition(_CHANNEL)[0]
    elif found := _BARE_FINAL.match(text):
        text = text[found.end() :]
    marked = _MARKED.search(text) is not None
    if marked:
        text = _HEADER.sub("\n", text)
    if _OTHERS_TURN.match(text):
        own = list(_OWN_TURN.finditer(text))
        text = text[own[-1].end() :] if own else text
    if header := _OWN_HEADER.match(text):
        text = text[header.end() :]
    return _TOKEN.sub(" ", _outside(_own(text))) if marked else text


def _own(text: str) -> str:
    """The text before the first token that ends a turn and has something before it."""
    start = 0
    for end in _END.finditer(text):
        said = text[start : end.start()]
        if _TOKEN.sub("", said).strip():
            return said
        start = end.end()
    return text[start:]


def _outside(text: str) -> str:
    parts, start, inside = [""], 0, False
    for tag in _THINKING.finditer(text):
        if tag["close"]:
            if not inside:
                parts = [""]  # it was opened in the prompt: all before is thinking
            start, inside = tag.end(), False
        elif not inside:
            parts.append(text[start : tag.start()])
            inside = True
    if not inside:
        parts.append(text[start:])
    return next((part for part in reversed(parts) if part.strip()), "")
