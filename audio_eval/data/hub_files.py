"""Hub data sets that hold a benchmark's official files, some with a tar archive of recordings."""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from audio_eval.cache import file_digest
from audio_eval.data.files import Files
from audio_eval.data.hub import combined, hub_commit
from audio_eval.data.kept import Kept, home, newest
from audio_eval.data.sources import Loaded, Unreachable
from audio_eval.errors import UserError
from audio_eval.terminal import say


@dataclass(frozen=True)
class HubFiles:
    """``files`` of a hub data set and an ``archive`` of recordings are put into the cache, where ``source`` reads them.

    Only members of the archive that end in ``suffix`` are unpacked. A copy below ``--data-dir``, D/owner/name/, is read
    instead of the hub; its archive is unpacked into the cache, unless the recordings lie unpacked beside it.
    """

    repo: str
    files: tuple[str, ...]
    source: Files
    archive: str | None = None
    suffix: str = ""

    @property
    def layout(self) -> str:
        """What ``--data-dir D`` must hold."""
        names = [*self.files, *filter(None, [self.archive])]
        return f"D/{self.repo}/ with {', '.join(names)}"

    def held(self, data_dir: str) -> bool:
        """Whether the folder has a copy."""
        return self.source.held(str(Path(data_dir) / self.repo))

    def read(self, data_dir: str | None) -> Loaded:
        """The records. ``UserError`` where neither hub nor copy can be read, ``DataError`` for broken rows."""
        parent = home(self.repo, "files")
        if data_dir and self.held(data_dir):
            return self._from_copy(Path(data_dir) / self.repo, parent)
        try:
            kept = Kept(parent / hub_commit(self.repo))
        except Unreachable as error:
            last = newest(parent)
            if last is None:
                raise
            kept = last
            say(f"audio-eval: {error}: taking commit {kept.folder.name[:12]}, which was fetched before", err=True)
        if not kept.manifest():
            self._fetch(kept)
        return replace(self.source.read(str(kept.folder)), revision=kept.folder.name)

    def _fetch(self, kept: Kept) -> None:
        import huggingface_hub

        commit = kept.folder.name
        say(f"audio-eval: fetching {self.repo} once into {kept.folder}", err=True)
        for name in [*self.files, *filter(None, [self.archive])]:
            try:
                huggingface_hub.hf_hub_download(
                    self.repo, name, repo_type="dataset", revision=commit, local_dir=kept.folder
                )
            except Exception as error:  # see hub_commit
                reason = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0].rstrip(".")
                raise Unreachable(f"{name} of the hub's {self.repo} cannot be fetched ({reason})") from None
        if self.archive:
            self._unpack(kept.folder / self.archive, kept.folder)
        kept.seal(repo=self.repo, commit=commit)
        if self.archive:
            (kept.folder / self.archive).unlink(missing_ok=True)

    def _from_copy(self, copy: Path, parent: Path) -> Loaded:
        folder, names = copy, list(self.files)
        if self.archive and not (copy / self.source.audio).is_dir():
            if not (copy / self.archive).is_file():
                raise UserError(f"{copy} has neither {self.archive} nor {self.source.audio}/; fetch {self.repo} again.")
            names.append(self.archive)
            kept = Kept(parent / combined({name: file_digest(copy / name) for name in names}))
            folder = kept.folder
            if not kept.manifest():
                self._unpack(copy / self.archive, folder)
                for name in self.files:
                    shutil.copyfile(copy / name, folder / name)
                kept.seal(repo=self.repo, commit="")
        loaded = self.source.read(str(folder))
        return replace(loaded, revision=folder.name if folder != copy else combined(loaded.files))

    def _unpack(self, archive: Path, folder: Path) -> None:
        """Unpack in one pass. Devices, and members and links that lead out of the folder, are refused."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(archive) as tar:
                for member in tar:
                    if member.isdir() or member.name.endswith(self.suffix):
                        tar.extract(member, folder, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UserError(f"{archive} cannot be unpacked: {error}; fetch it again.") from None
