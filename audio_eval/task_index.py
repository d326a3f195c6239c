"""Tasks by name, read from their YAML files without importing lm-eval or running a ``!function``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from audio_eval.errors import UserError, explain, unknown
from audio_eval.regular import read_regular, walk
from audio_eval.yaml_text import BoundedLoader, parse_yaml

TASKS_DIR = Path(str(files("audio_eval.tasks")))
OFFICIAL = "official"  # the source of files in their authors' layout
MAX_TEXT = 512 * 2**10  # characters below an include path; PyYAML reads some 100 kB in a second
SHOWN = 3  # files that a message names
KEYED = "audio_eval.tasks.keyed.KeyedTask"  # how lm-eval names cached requests: nothing that is scored


Name = Annotated[str, Field(max_length=200)]


class _Metadata(BaseModel):
    """What is read of a task's ``metadata``; other keys may hold whatever JSON can."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    version: Name | int | float | None = None
    description: str = ""
    groups: list[Name] = []
    hub: list[str] = []
    scoring: Name = "choice"
    official: Name | None = None
    prompt: Name | None = None
    reads: str = ""
    row_id: Name = ""


class _Definition(BaseModel):
    """What is read of a YAML file, without what it includes; the rest is lm-eval's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    task: Name | list[str | dict[str, Any]] | None = None
    group: Name | None = None
    tag: str | list[str] | None = None
    include: str | list[str] | None = None
    metadata: _Metadata | None = None


@dataclass
class Listing:
    """What the YAML files of a folder define: tasks with their ``metadata``, and groups and tags with their members.

    ``files`` has the YAML file of each task, ``broken`` why a file was left out: it stops no command that asks for
    another.
    """

    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    broken: dict[Path, str] = field(default_factory=dict)

    def expand(self, names: list[str]) -> list[str]:
        """The tasks that these tasks, groups and tags mean, each once, in order; a ``:split`` goes to every task."""
        found: list[str] = []
        for name in names:
            base, colon, split = name.partition(":")
            if base not in self.tasks and base not in self.groups:
                raise self.unknown("task", base)
            found += [f"{member}{colon}{split}" for member in self.groups.get(base, [base])]
        return list(dict.fromkeys(found))

    def check_sources(self, names: Iterable[str], sources: Iterable[str]) -> None:
        """``UserError`` for a source that none of these tasks has, though nothing may be read from it."""
        bases = sorted({name.partition(":")[0] for name in names})
        if any(TASKS_DIR not in self.files[name].parents for name in bases):
            return  # a task of the user's may read sources that no YAML names
        hubs = [self.tasks[name]["hub"] for name in bases if "hub" in self.tasks[name]]
        known = {OFFICIAL, *(repo for hub in hubs for repo in hub)}
        for source in sources:
            if not hubs:
                raise UserError(f"--source {source}: {', '.join(bases)} is made here and read from no source.")
            if source not in known:
                raise unknown("source", source, known, f" of {', '.join(bases)}")

    def unknown(self, what: str, name: str, others: Iterable[str] = ()) -> UserError:
        """The error for a name that no file defines; it may stand in one that was left out."""
        error = unknown(what, name, [*others, *self.tasks, *self.groups])
        return UserError(" ".join([str(error), *(f"Left out: {reason}" for reason in [*self.broken.values()][:SHOWN])]))

    def definition(self, name: str) -> str:
        """A fingerprint of a task's YAML, of what that includes, and of the modules beside it that score the task.

        Comments and the items' licence do not count. What a converter makes of the data shows in the items.
        """
        file = self.files[name]
        scored_by = [str(self.tasks[name].get(key, "")).partition(":") for key in ("scoring", "official")]
        modules = [file.parent / f"{module.replace('.', '/')}.py" for module, colon, _ in scored_by if colon]
        sources = (path.read_text(encoding="utf-8", errors="replace") for path in modules if path.is_file())
        told = [*map(repr, _with_included(file)), *sources]
        return sha256("\0".join(told).encode()).hexdigest()[:12]


def listing(include_path: str | None = None) -> Listing:
    """The tasks of the package and of ``include_path``; of two with one name the user's is taken, as in lm-eval."""
    found = Listing()
    for folder in (TASKS_DIR, *_user_folder(include_path)):
        for path, config in _configs(folder, found.broken):
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
    if not include_path or not Path(include_path).is_dir():  # Path("") is the current folder, which nobody meant
        raise UserError(f"--include-path: no folder '{include_path}'.")
    return [Path(include_path)]


def _configs(folder: Path, broken: dict[Path, str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The files that may define something; why others are left out goes into ``broken``.

    ``UserError`` where that is more text than a folder of tasks has.
    """
    size = 0
    for path in sorted(Path(at, name) for at, _, names in walk(folder) for name in names if name.endswith(".yaml")):
        if size > MAX_TEXT and folder != TASKS_DIR:
            raise UserError(
                f"--include-path: the YAML files of tasks in '{folder}' have more than {MAX_TEXT >> 10} KiB: name the "
                "folder of your own."
            )
        try:
            text = _text(path)
            if "task" in text or "group" in text:  # else it is somebody's YAML of something else
                size += len(text)
                content = _parsed(path, text)
                if isinstance(content, dict):
                    _Definition.model_validate(content)
                    yield path, content
        except UserError as error:
            broken[path] = " ".join(str(error).split())
        except ValidationError as error:
            broken[path] = f"task file '{path}': {explain(error)}"


def _text(path: Path) -> str:
    try:
        return read_regular(path).decode()
    except (OSError, ValueError) as error:
        raise UserError(f"task file '{path}' cannot be read: {error}.") from None


def _parsed(path: Path, text: str) -> Any:
    try:
        return parse_yaml(text, _Loader)
    except ValueError as error:
        raise UserError(f"task file '{path}' cannot be read: {error}.") from None


def _with_included(path: Path, within: tuple[Path, ...] = ()) -> Iterator[Any]:
    """What a YAML file holds, and then what it includes, as lm-eval's ``include`` has it; without what scores nothing,
    our own ``class`` and the ``license`` of the items.
    """
    if path.resolve() in within:
        raise UserError(f"task file '{path}' includes itself.")
    content = _parsed(path, _text(path))
    if isinstance(content, dict) and content.get("class") == KEYED:
        del content["class"]
    if isinstance(content, dict) and isinstance(content.get("metadata"), dict):
        content["metadata"].pop("license", None)
    yield content
    included = content.get("include") or [] if isinstance(content, dict) else []
    for name in [included] if isinstance(included, str) else included:
        yield from _with_included(path.parent / str(name), (*within, path.resolve()))


class _Loader(BoundedLoader):
    """The safe loader, for which ``!function`` is text."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))
