"""YAML of other people: values alone, no objects, with bounds on size, depth and what its aliases amount to.

An alias costs nothing until the value is written, compared or copied: ten lines of aliases of aliases are then billions
of values, which hangs whatever touches them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

MAX_CHARACTERS = 256 * 2**10  # PyYAML reads some 100 kB in a second
MAX_DEPTH = 64
MAX_VALUES = 100_000
MAX_DIGITS = 64


class BadYaml(ValueError):
    """Why a text is no YAML that can be used, in one line."""


class BoundedLoader(yaml.SafeLoader):
    """The safe loader, which stops where there are too many values, or brackets too deep within one another.

    PyYAML's scanner looks at all open brackets at each token, up to a thousand of them before anything is composed.
    """

    _values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A value; an alias is one too."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise BadYaml(f"it has more than {MAX_VALUES} values")
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:
        """An opening bracket."""
        if self.flow_level >= MAX_DEPTH:
            raise BadYaml(f"it is nested deeper than {MAX_DEPTH} levels")
        super().fetch_flow_collection_start(TokenClass)


def _integer(loader: BoundedLoader, node: yaml.ScalarNode) -> int:
    """An integer, which can be written down again: one in base 16 or 60 may be longer than Python shows."""
    if len(node.value) > MAX_DIGITS:
        raise BadYaml(f"line {node.start_mark.line + 1}: it holds an integer of {len(node.value)} digits")
    return loader.construct_yaml_int(node)


BoundedLoader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse_yaml(text: str, loader: type[BoundedLoader] = BoundedLoader) -> Any:
    """The value of the only document; ``BadYaml`` where there is none, or it is out of bounds."""
    if len(text) > MAX_CHARACTERS:
        raise BadYaml(f"it has {len(text)} characters, more than {MAX_CHARACTERS}")
    try:
        node = _composed(text, loader)  # type: ignore[arg-type]  # mypy takes classes for unhashable
        return None if node is None else loader("").construct_document(node)
    except RecursionError:
        raise BadYaml(f"it is nested deeper than {MAX_DEPTH} levels") from None
    except BadYaml:
        raise
    except Exception as error:  # a constructor may raise any: KeyError for "!!bool x", OverflowError for a date
        raise BadYaml(" ".join(str(error).split())) from None


@lru_cache(maxsize=256)  # a command reads the same task files several times; values are made of the nodes anew
def _composed(text: str, loader: type[BoundedLoader]) -> yaml.Node | None:
    node = loader(text).get_single_node()
    if node is not None:
        _measure(node, {}, set())
    return node


def _measure(node: yaml.Node, known: dict[int, tuple[int, int]], within: set[int]) -> tuple[int, int]:
    """How many values a node amounts to with all its aliases written out, and how deep it is."""
    if id(node) in within:
        raise BadYaml(f"line {node.start_mark.line + 1}: a value holds itself")
    if id(node) not in known:
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]
        within.add(id(node))
        measured = [_measure(part, known, within) for part in parts]
        within.discard(id(node))
        count, depth = 1 + sum(size for size, _ in measured), 1 + max((deep for _, deep in measured), default=0)
        if count > MAX_VALUES:
            raise BadYaml(f"line {node.start_mark.line + 1}: its aliases amount to more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise BadYaml(f"it is nested deeper than {MAX_DEPTH} levels")
        known[id(node)] = count, depth
    return known[id(node)]
