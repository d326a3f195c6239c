"""Hub data sets of parquet files whose audio column holds encoded recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.cache import clip_path, file_digest, keep_clip
from audio_eval.data.kept import Kept, home, newest
from audio_eval.data.records import Place, Stored
from audio_eval.data.sources import Convert, Loaded, Unreachable, convert_rows
from audio_eval.errors import UserError
from audio_eval.terminal import say

_BATCH = 8  # rows in memory at once: one of MMAU's may hold megabytes of audio
_BLOCK = 8 * 2**20  # bytes that one request to the hub fetches
_SECONDS = 10  # to wait for the hub's answer


@dataclass(frozen=True)
class HubRows:
    """A split of a hub data set. ``audio`` names the column of recordings, in which ``convert`` finds a ``ClipRef``.

    A copy below ``--data-dir``, D/owner/name/ as ``hf download --local-dir`` makes it, is read instead of the hub. The
    recordings go into the cache as they are, each once by its sha256. The rows are stored there too, so that the next
    load needs neither parquet files nor the hub. They are stored unconverted: a changed converter needs no new reading.
    """

    repo: str
    split: str
    convert: Convert
    config: str | None = None
    audio: str = "audio"

    @property
    def layout(self) -> str:
        """What ``--data-dir D`` must hold."""
        return f"D/{self.repo}/ with its parquet files"

    def held(self, data_dir: str) -> bool:
        """Whether the folder has a copy."""
        return next((Path(data_dir) / self.repo).rglob("*.parquet"), None) is not None

    def read(self, data_dir: str | None) -> Loaded:
        """The records. ``UserError`` where neither hub nor copy can be read, ``DataError`` for broken rows."""
        parent = home(self.repo, "-".join(filter(None, (self.config, self.split))))
        copy = Path(data_dir) / self.repo if data_dir and self.held(data_dir) else None
        files = self._digests(copy) if copy else {}
        kept = Kept(parent / combined(files)) if copy else self._current(parent)
        rows = self._rows(kept)
        if rows is None:
            say(f"audio-eval: reading {self.repo} ({self.split}) once into {kept.folder}", err=True)
            commit = "" if copy else kept.folder.name
            facts = {"repo": self.repo, "split": self.split, "commit": commit, "files": files}
            kept.keep_rows(self._stream(str(copy or self.repo), commit or None), **facts)
            rows = self._rows(kept) or []
        places = ((Place("row", number), values) for number, values in enumerate(rows, 1))
        records = convert_rows(places, kept.folder, self.convert, f"{self.repo} ({self.split})")
        # A hub data set has no file here to hash. Its rows, with each recording's sha256, are hashed instead.
        digests = files or {f"{self.repo}/{self.split}": kept.manifest()["rows"]}
        return Loaded(records, kept.folder.name, digests)

    def _current(self, parent: Path) -> Kept:
        """The hub's current commit; if the hub cannot be asked, the last commit that was read completely."""
        try:
            return Kept(parent / hub_commit(self.repo))
        except Unreachable as error:
            last = newest(parent)
            if last is None or self._rows(last) is None:
                raise
            say(f"audio-eval: {error}: taking commit {last.folder.name[:12]}, which was read before", err=True)
            return last

    def _rows(self, kept: Kept) -> list[dict[str, Any]] | None:
        """The stored rows with the paths of their recordings; None where anything is missing."""
        rows = kept.rows()
        for row in rows or []:
            path = clip_path(row[self.audio]["sha256"])
            if not path.is_file():
                return None
            row[self.audio] = Stored(str(path), row[self.audio]["sha256"])
        return rows

    def _stream(self, where: str, commit: str | None) -> Iterator[dict[str, Any]]:
        """Each row, after its recording was put into the cache.

        A row without a recording gets an empty file, which is later reported with the other unreadable recordings.
        """
        number, heard = 0, False
        try:
            for values in _parquet_rows(self._paths(where, commit)):
                number += 1
                if self.audio not in values:
                    raise UserError(f"{where} ({self.split}) has no column '{self.audio}', only {', '.join(values)}.")
                data = (values[self.audio] or {}).get("bytes") or b""
                heard = heard or bool(data)
                yield {**values, self.audio: {"sha256": keep_clip(data)}}
        except UserError:
            raise
        except Exception as error:  # httpx, fsspec and pyarrow have no common base class of errors
            reason = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0].rstrip(".")
            raise UserError(
                f"{where} ({self.split}) cannot be read after row {number}: {reason}; run it again, or fetch it again."
            ) from error
        if not heard:
            raise UserError(
                f"{where} ({self.split}): column '{self.audio}' holds no recordings; fetch it with its audio."
            )

    def _paths(self, where: str, commit: str | None) -> list[str]:
        """The parquet files of the split, by the data set's README or by their names."""
        import datasets

        try:
            builder = datasets.load_dataset_builder(where, name=self.config, revision=commit)
            found, base = builder.config.data_files or {}, str(builder.base_path)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0].rstrip(".")
            raise UserError(f"{where} cannot be read as a hub data set ({reason}); fetch it again.") from error
        if self.split not in found:
            there = ", ".join(map(str, found)) or "none"
            raise UserError(f"{where} has no split '{self.split}' (there is: {there}); fetch {self.repo} again.")
        paths = list(map(str, found[self.split]))
        for path in paths:  # the README of a data set may name any file of this machine, or any URL
            if not _is_of(path, base, self.repo):
                raise UserError(f"{where} names a file that is none of its own ({path}): fetch {self.repo} again.")
        return paths

    def _digests(self, copy: Path) -> dict[str, str]:
        """The sha256 of each parquet file of the split."""
        paths, top = [Path(path) for path in self._paths(str(copy), None)], copy.resolve()
        return {path.resolve().relative_to(top).as_posix(): file_digest(path) for path in paths}


def _is_of(path: str, base: str, repo: str) -> bool:
    """Whether a file is one of a copy in the folder ``base``, or of the repository on the hub."""
    if "://" in path:
        return path.startswith(f"hf://datasets/{repo}@") and ".." not in path.split("/")
    return "://" not in base and Path(base).resolve() in Path(path).resolve().parents


def _parquet_rows(paths: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of local files or files on the hub, a few in memory at a time.

    The reader of ``datasets`` reads row groups ahead: it takes 1.5 GB for a file of 600 MB with row groups of 100 MB.
    This takes 0.5 GB for a file of any size.
    """
    import fsspec
    from pyarrow.parquet import ParquetFile

    for path in paths:
        with fsspec.open(path, "rb", block_size=_BLOCK) as file:
            parquet = ParquetFile(file, pre_buffer=False, buffer_size=2**20)
            for batch in parquet.iter_batches(batch_size=_BATCH, use_threads=False):
                yield from batch.to_pylist()


def hub_commit(repo: str) -> str:
    """The current commit of a hub data set; ``Unreachable`` with the reason."""
    import huggingface_hub

    try:
        return huggingface_hub.HfApi().dataset_info(repo, timeout=_SECONDS).sha or "main"
    except Exception as error:  # the error classes differ between releases of the hub's client
        reason = f"{type(error).__name__}: {error}".strip().split("\n", maxsplit=1)[0].rstrip(".")
        raise Unreachable(f"the hub's {repo} cannot be reached ({reason})") from None


def combined(files: dict[str, str]) -> str:
    """One sha256 for several files."""
    return sha256("".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())).encode()).hexdigest()
