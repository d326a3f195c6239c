"""What `audio-eval ls` says about a method: what it needs, its presets, every setting. No backend is imported."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from audio_eval.method import Method
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.policy import Training

QUESTIONS = 1000  # the number that the cost is given for
TELLING = ("tune", "lr")  # the shared settings of training that a short overview has
BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


def overview(cls: type[Method]) -> list[str]:
    """A method in `ls methods`, below its summary: what it is, its paper, its own settings, its presets."""
    own = [field for field in cls.Config.model_fields if _is_own(cls, field) or field in TELLING]
    about = "; ".join(filter(None, [traits(cls), cls.paper]))
    presets = "presets: " + ", ".join(cls.presets) if cls.presets else ""
    paragraphs = [about, _settings({field: _defaults(cls)[field] for field in own}), presets]
    return [line for text in paragraphs for line in wrapped(text)]


def details(cls: type[Method], origin: str, models: Mapping[str, ModelEntry]) -> list[str]:
    """A method in `ls METHOD`: what it is, where it is from, its cost, and each setting with its type."""
    facts = [
        ("", cls.summary),
        ("", traits(cls)),
        ("paper: ", cls.paper),
        ("from: ", origin),
        (f"cost of {QUESTIONS:,} questions, at most: ", _cost(cls)),
        *((f"preset={name}: ", _settings(preset)) for name, preset in cls.presets.items()),
        *(
            (f"with {name}: ", f"preset={entry.preset}")
            for name, entry in models.items()
            if entry.preset in cls.presets
        ),
    ]
    lines = []
    for key, value in facts:
        if value:
            first, *rest = wrapped(key + value)
            lines += [f"  {first}", *(f"    {line}" for line in rest)]
    own = [field for field in cls.Config.model_fields if _is_own(cls, field)]
    shared = [field for field in cls.Config.model_fields if field not in own]
    for title, fields in (("settings", own), ("settings of training, which every method that trains has", shared)):
        if fields:
            lines += [f"  {title} (--method-args key=value,...):", *_table(cls, fields)]
    return lines


def traits(cls: type[Method]) -> str:
    """What a method does and needs with its default settings; "" where there is nothing to say."""
    method = cls()
    does = {"trains": cls.trains, "transductive": method.transductive}
    wants = {
        "labels (--train-task)": method.needs_labels,
        "a judge": method.needs_judge,
        "a model that scores completions": method.needs_logprobs,
        "multiple choice": cls.needs_choices,
    }
    said = [word for word, holds in does.items() if holds]
    needed = ", ".join(word for word, holds in wants.items() if holds)
    return ", ".join(said) + (("; " if said else "") + f"needs {needed}" if needed else "")


def _cost(cls: type[Method]) -> str:
    if cls.cost is Method.cost:  # the base class knows only the answers
        return ""
    cost = asdict(cls().cost(adapted=QUESTIONS, scored=QUESTIONS, labelled=QUESTIONS))
    return ", ".join(f"{key} {value:,}" for key, value in cost.items() if value)


def type_name(field: FieldInfo) -> str:
    """A setting's type and bounds as a user would write them: ``int >= 1``, ``grpo | dapo``, ``float > 0 | null``."""
    bounds = [f"{sign} {getattr(m, name)}" for m in field.metadata for name, sign in BOUNDS if hasattr(m, name)]
    spelled, null, _ = _spelled(field.annotation).partition(" | null")
    return f"{spelled} {', '.join(bounds)}".strip() + null


def _spelled(annotation: Any) -> str:
    kind = get_origin(annotation)
    if kind is Literal:
        return " | ".join(map(_shown, get_args(annotation)))
    if kind in (Union, UnionType):
        return " | ".join(map(_spelled, get_args(annotation)))
    if annotation is type(None):
        return "null"
    return annotation.__name__ if isinstance(annotation, type) and kind is None else str(annotation)


def _shown(value: Any) -> str:
    """A value as --method-args reads it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_own(cls: type[Method], field: str) -> bool:
    """Whether the setting is the method's own, or one that all share but with another default."""
    shared = Training.model_fields.get(field)
    return shared is None or shared.default != cls.Config.model_fields[field].default


def _defaults(cls: type[Method]) -> dict[str, Any]:
    return dict(cls().config)


def _settings(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={_shown(value)}" for key, value in values.items())


def _table(cls: type[Method], fields: Sequence[str]) -> Iterator[str]:
    """One line per setting: ``key=default``, what it is, its type; a long text goes on in the next lines."""
    defaults = _defaults(cls)
    heads = {field: f"{field}={_shown(defaults[field])}" for field in fields}
    width = max(map(len, heads.values()))
    for field, head in heads.items():
        info = cls.Config.model_fields[field]
        first, *rest = wrapped(f"{info.description or ''} [{type_name(info)}]".strip(), width + 6)
        yield f"    {head:<{width}}  {first}"
        yield from (" " * (width + 6) + line for line in rest)


def wrapped(text: str, indent: int = 4) -> list[str]:
    """``text`` as lines that fit the terminal with this indent."""
    columns = shutil.get_terminal_size((120, 24)).columns
    return textwrap.wrap(text, max(40, columns - indent), break_long_words=False, break_on_hyphens=False)
