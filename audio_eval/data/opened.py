"""Multiple-choice items as open questions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audio_eval.data.records import Record
from audio_eval.data.sources import Loaded, Source, Sources


def opened(sources: Sources) -> Sources:
    """The same sources without options, which ``meta["options"]`` keeps. The answer is the gold option's text."""
    return Sources({name: _Opened(source) for name, source in sources.named.items()}, sources.split)


@dataclass(frozen=True)
class _Opened:
    closed: Source

    @property
    def layout(self) -> str:
        return self.closed.layout

    def held(self, data_dir: str) -> bool:
        return self.closed.held(data_dir)

    def read(self, data_dir: str | None) -> Loaded:
        loaded = self.closed.read(data_dir)
        return replace(loaded, records=[_open(item) for item in loaded.records])


def _open(item: Record) -> Record:
    return {**item, "choices": [], "meta": {**item["meta"], "options": item["choices"]}}
