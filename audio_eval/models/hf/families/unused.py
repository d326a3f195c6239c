"""A model class without some of its modules: they are not made, so that their weights are never read from the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def without(cls: Any, parts: Sequence[str]) -> Any:
    """``cls`` under its own name, whose models lack the modules of which one of ``parts`` is the last name.

    transformers makes a model on the meta device, where it takes no memory, and reads the weights that it has a place
    for. Where a module stands in the model differs between its versions.
    """
    if not parts:
        return cls

    class Lacking(cls):
        _keys_to_ignore_on_load_unexpected = (  # no warning of them
            *(cls._keys_to_ignore_on_load_unexpected or ()),
            *(rf"(^|\.){part}\." for part in parts),
        )

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for module in list(self.modules()):
                for part in parts:
                    module._modules.pop(part, None)

    Lacking.__name__, Lacking.__qualname__, Lacking.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Lacking
