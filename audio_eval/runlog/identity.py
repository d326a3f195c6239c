"""identity.json: what a run was made of, as digests of contents; two runs are the same only if all of it is.

Flags are not enough: the weights in a folder, a method's file, a task's YAML, items, answers and recordings change
behind the same command. Every item has its digests by part, so that a difference can be named. The order of the items
is none: work is kept by question id, and a resumed run takes the items in the order that it began with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from audio_eval.runlog.records import Record
from audio_eval.runlog.spec import differences

SHOWN = 3  # ids or files that a message names


class ItemDigests(Record):
    """An item by parts. ``question`` holds its paraphrases too, ``answer`` the written rationale.

    ``recording`` is None where the item has none, or one that cannot be read; ``other`` are further fields.
    """

    id: str
    question: str
    choices: str
    prompt: str
    answer: str
    groups: str
    recording: str | None
    other: str


class TaskDigests(Record):
    """A task as a run uses it. ``definition`` is of its YAML; ``prompt`` and ``scorer`` are names with versions."""

    use: str
    task: str
    definition: str
    prompt: str
    scorer: str
    items: tuple[ItemDigests, ...]

    def differences(self, now: TaskDigests) -> Iterator[str]:
        """What is not as it was, in words."""
        definition = "definition (its YAML, or a module that scores it)"
        for part, called in (("definition", definition), ("prompt", "prompt"), ("scorer", "scoring")):
            if getattr(self, part) != getattr(now, part):
                yield f"the {called} of task '{self.task}' changed"
        yield from _items(self.items, now.items, ignore={"prompt"} if self.prompt != now.prompt else set())


class Identity(Record):
    """Model, method and tasks of a run. ``model`` and ``method`` are (file or module, sha256) pairs, by name.

    The model's files include an adapter's. Both are empty where responses were made elsewhere. ``settings`` are those
    of spec.json, which a hand may edit; empty where they were not recorded.
    """

    model: tuple[tuple[str, str], ...] = ()
    method: tuple[tuple[str, str], ...] = ()
    tasks: tuple[TaskDigests, ...]
    settings: dict[str, Any] = Field(default={})

    def differences(self, now: Identity) -> list[str]:
        """What is not as it was, in words; empty for the same run."""
        both = self.settings.keys() & now.settings.keys()  # another version of audio-eval may know others
        told, here = ({name: settings[name] for name in both} for settings in (self.settings, now.settings))
        found = [f"spec.json was edited: {what}" for what in differences(told, here)]
        for kind in ("model", "method"):
            if files := _changed(dict(getattr(self, kind)), dict(getattr(now, kind))):
                found.append(f"the {kind} changed ({_some(files)})")
        before, after = ({task.use: task for task in identity.tasks} for identity in (self, now))
        for use in sorted(before.keys() | after.keys()):
            if use in before and use in after:
                found += before[use].differences(after[use])
            else:
                found.append(f"it was {'' if use in before else 'not '}{use} by a task of its own")
        return found


def _changed(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> list[str]:
    return [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]


def _items(before: Sequence[ItemDigests], now: Sequence[ItemDigests], ignore: set[str]) -> Iterator[str]:
    was, are = ({item.id: item for item in items} for items in (before, now))
    gone = {id_: item for id_, item in was.items() if id_ not in are}
    new = {id_: item for id_, item in are.items() if id_ not in was}
    by_content = {_content(item): id_ for id_, item in new.items()}
    renamed = {id_: by_content[_content(item)] for id_, item in gone.items() if _content(item) in by_content}
    if renamed:
        yield f"{_count(renamed)} another id: {_some([f'{old} is now {name}' for old, name in renamed.items()])}"
    taken = set(renamed.values())
    for ids, what in (([i for i in gone if i not in renamed], "gone"), ([i for i in new if i not in taken], "new")):
        if ids:
            yield f"{len(ids)} {'item is' if len(ids) == 1 else 'items are'} {what}: {_some(ids)}"
    changed: dict[str, list[str]] = defaultdict(list)
    for id_ in was.keys() & are.keys():
        parts = _changed(was[id_].model_dump(exclude=ignore), are[id_].model_dump(exclude=ignore))
        if parts:
            changed[", ".join(parts)].append(id_)
    for what, ids in sorted(changed.items()):
        yield f"{_count(ids)} changed ({what}): {_some(sorted(ids))}"


def _content(item: ItemDigests) -> ItemDigests:
    return item.model_copy(update={"id": ""})


def _count(items: Sequence[str] | Mapping[str, str]) -> str:
    return f"{len(items)} item has" if len(items) == 1 else f"{len(items)} items have"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
