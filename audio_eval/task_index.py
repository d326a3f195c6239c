"""Tasks by name, read from their YAML files without importing lm-eval or running a ``!function``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from audio_eval.errors import UserError, unknown
from audio_eval.yaml_text import parse_yaml

TASKS_DIR = Path(str(files("audio_eval.tasks")))
KEYED = "audio_eval.tasks.keyed.KeyedTask"  # how lm-eval names cached requests: nothing that is scored


@dataclass
class Listing:
    """What the YAML files of a folder define: tasks with their ``metadata``, and groups and tags with their members.

    ``files`` has the YAML file of each task.
    """

    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def expand(self, names: list[str]) -> list[str]:
        """The tasks that these tasks, groups and tags mean, each once, in order; a ``:split`` goes to every task."""
        found: list[str] = []
        for name in names:
            base, colon, split = name.partition(":")
            if base not in self.tasks and base not in self.groups:
                raise unknown("task", base, [*self.tasks, *self.groups])
            found += [f"{member}{colon}{split}" for member in self.groups.get(base, [base])]
        return list(dict.fromkeys(found))

    def definition(self, name: str) -> str:
        """A fingerprint of a task's YAML, of what that includes, and of the modules beside it that score the task.

        Comments and the items' licence do not count. What a converter makes of the data shows in the items.
        """
        file = self.files[name]
        scored_by = [str(self.tasks[name].get(key, "")).partition(":") for key in ("scoring", "official")]
        modules = [file.parent / f"{module.replace('.', '/')}.py" for module, colon, _ in scored_by if colon]
        told = [*map(repr, _with_included(file)), *(path.read_text() for path in modules if path.is_file())]
        return sha256("\0".join(told).encode()).hexdigest()[:12]


def listing(include_path: str | None = None) -> Listing:
    """The tasks of the package and of ``include_path``; of two with one name the user's is taken, as in lm-eval."""
    found = Listing()
    for folder in (TASKS_DIR, *_user_folder(include_path)):
        for path, config in _configs(folder):
            task, group = config.get("task"), config.get("group")
            if isinstance(group, str) and isinstance(task, list):
                found.groups[group] = [str(member) for member in task]
            elif isinstance(task, str):
                found.tasks[task] = config.get("metadata") or {}
                found.files[task] = path
                tags = config.get("tag") or []
                for tag in [tags] if isinstance(tags, str) else tags:
                    found.groups.setdefault(str(tag), []).append(task)
    return found


def _user_folder(include_path: str | None) -> list[Path]:
    if include_path is None:
        return []
    if not Path(include_path).is_dir():
        raise UserError(f"--include-path: no folder '{include_path}'.")
    return [Path(include_path)]


def _configs(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(folder.rglob("*.yaml")):
        content = _read(path)
        if isinstance(content, dict):
            yield path, content


def _read(path: Path) -> Any:
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError) as error:
        raise UserError(f"task file '{path}' cannot be read: {error}.") from None


def _with_included(path: Path) -> Iterator[Any]:
    """What a YAML file holds, and then what it includes, as lm-eval's ``include`` has it; without what scores nothing,
    our own ``class`` and the ``license`` of the items.
    """
    content = _read(path)
    if isinstance(content, dict) and content.get("class") == KEYED:
        del content["class"]
    if isinstance(content, dict) and isinstance(content.get("metadata"), dict):
        content["metadata"].pop("license", None)
    yield content
    included = content.get("include") or [] if isinstance(content, dict) else []
    for name in [included] if isinstance(included, str) else included:
        yield from _with_included(path.parent / str(name))


class _Loader(yaml.SafeLoader):
    """The safe loader, for which ``!function`` is text."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))
