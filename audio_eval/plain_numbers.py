"""Numbers as a user types them: ASCII digits, a minus, a point, an exponent. Python and YAML read more, as ``1_000``,
``0x10``, ``1:30``, ``nan`` and digits of other scripts, which is as often a slip as meant.
"""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

import yaml

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_YAML_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def whole(text: str) -> int:
    """A whole number, as the type of a flag."""
    if not _WHOLE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"a whole number is wanted, as 1000, and no share (given: {text})")
    return int(text)


def decimal(text: str) -> float:
    """A finite number, as the type of a flag."""
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"a number is wanted, as 1000, 0.5 or 1e-6 (given: {text})")
    return float(text)


def odd(text: str) -> bool:
    """Whether a setting is a number to Python or YAML, and not one as above; an integer of any length is none."""
    return _is_number(text) and not (_DECIMAL.fullmatch(text) and math.isfinite(float(text)))


def _is_number(text: str) -> bool:
    resolver: Any = yaml.resolver.Resolver
    if any(
        tag in _YAML_NUMBERS and pattern.match(text)
        for tag, pattern in resolver.yaml_implicit_resolvers.get(text[:1], ())
    ):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True
