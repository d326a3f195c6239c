"""The archive of a run: a zip with a fixed set of names, and a manifest with the sha256 of each file.

Equal runs give equal bytes: names are sorted, times are fixed, and nothing is compressed, since compressors differ.
Reading takes nothing on trust: what is not a plain file of a known name is refused before anything is written.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audio_eval.errors import UserError
from audio_eval.regular import open_regular
from audio_eval.terminal import printable

MANIFEST, FORMAT, VERSION = "manifest.json", "audio-eval run", 1
RECORDS = (
    "spec.json", "identity.json", "env.json", "questions.jsonl", "responses.jsonl", "scores.jsonl", "metrics.jsonl",
    "notes.json", "result.json", "sessions.jsonl", "curve.jsonl", "oracle.jsonl", "reported.json",
    "adapt/labels.jsonl",
)  # fmt: skip
REPORT, LM_EVAL = "report.html", "lm_eval_results.json"
WEIGHTS = re.compile(r"adapt/(step-\d{6})/adapter_(?:model|full)\.safetensors")
_BESIDE_WEIGHTS = re.compile(r"adapt/(step-\d{6})/(?:adapter_config\.json|README\.md)")
LARGEST_MANIFEST, LARGEST_TEXT, LARGEST_WEIGHTS = 1 << 24, 1 << 29, 1 << 36  # bytes
RATIO, RATIO_FROM = 100, 1 << 20  # of a file's bytes to those in the archive; files below a size are let be
_BLOCK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Entry(BaseModel):
    """A file of the archive."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """manifest.json: the version of the archive, of the run log in it, and of the program that made it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: str
    version: int
    run_log: int
    audio_eval: str
    files: dict[str, Entry]


def write(path: Path, members: Mapping[str, bytes | Path], run_log: int, program: str) -> None:
    """Write the archive of these files, by name; a path is copied from the disk."""
    files = {name: Entry(sha256=_digest(member), bytes=_size(member)) for name, member in sorted(members.items())}
    manifest = Manifest(format=FORMAT, version=VERSION, run_log=run_log, audio_eval=program, files=files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, member in [(MANIFEST, manifest.model_dump_json(indent=1).encode()), *sorted(members.items())]:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system, info.file_size = 3, _size(member)
            with archive.open(info, "w") as target:
                for block in _blocks(member):
                    target.write(block)


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The archive with its manifest, all names and sizes checked. ``UserError`` for what is not as it must be."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            _check_members(path, archive)
            yield archive, _manifest(path, archive)
    except FileNotFoundError:
        raise UserError(f"no archive '{path}'.") from None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"'{path}' cannot be read as a zip archive: {' '.join(str(error).split())}.") from None


def extract(path: Path, archive: zipfile.ZipFile, manifest: Manifest, folder: Path) -> None:
    """Write the files of a checked archive below ``folder``; ``UserError`` where one is not what the manifest says."""
    for name, entry in manifest.files.items():
        target, digest, size = folder / name, sha256(), 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, target.open("wb") as stream:
            while block := source.read(_BLOCK):
                size += len(block)
                digest.update(block)
                stream.write(block)
        if (digest.hexdigest(), size) != (entry.sha256, entry.bytes):
            raise UserError(f"'{path}': '{name}' is not the file that the manifest lists (its sha256 differs).")


def _known(name: str) -> bool:
    """Whether an archive may hold a file of this name."""
    return (
        name in RECORDS or name in (REPORT, LM_EVAL) or bool(WEIGHTS.fullmatch(name) or _BESIDE_WEIGHTS.fullmatch(name))
    )


def _most(name: str) -> int:
    """Bytes that a file of this name may have."""
    if name == MANIFEST:
        return LARGEST_MANIFEST
    return LARGEST_WEIGHTS if WEIGHTS.fullmatch(name) else LARGEST_TEXT


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    seen: set[str] = set()
    for info in archive.infolist():
        # The name as it stands in the file: zipfile cuts it at a null byte.
        name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
        wrong = None
        if name != MANIFEST and not _known(name):
            wrong = "is no file of a run's archive"
        elif kind not in (0, stat.S_IFREG) or info.is_dir():
            wrong = "is a link or no plain file"
        elif name in seen:
            wrong = "is there twice"
        elif info.flag_bits & 0x1:
            wrong = "is encrypted"
        elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            wrong = "is compressed in an unusual way"
        elif info.file_size > _most(name):
            wrong = f"is too large ({info.file_size:,} bytes)"
        elif info.file_size > max(RATIO_FROM, RATIO * info.compress_size):
            wrong = f"unpacks to more than {RATIO} times its size"
        if wrong:
            raise UserError(f"'{path}' is refused: '{printable(name)[:200]}' {wrong}.")
        seen.add(name)
    if sum(info.compress_size for info in archive.infolist()) > path.stat().st_size:
        raise UserError(f"'{path}' is refused: its files overlap.")
    if len({found[1] for name in seen if (found := WEIGHTS.fullmatch(name) or _BESIDE_WEIGHTS.fullmatch(name))}) > 1:
        raise UserError(f"'{path}' is refused: it has the adapters of several steps.")


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(archive.read(MANIFEST))
    except KeyError:
        raise UserError(f"'{path}' has no {MANIFEST}: it is no archive of audio-eval export.") from None
    except (ValidationError, ValueError, RecursionError):
        raise UserError(f"'{path}': its {MANIFEST} is damaged.") from None
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        raise UserError(
            f"'{path}' is an archive of version {manifest.version}; this audio-eval reads version {VERSION}: export it "
            "again with the same version, or import it with the one that made it."
        )
    listed, there = set(manifest.files), {info.filename for info in archive.infolist()} - {MANIFEST}
    if odd := sorted(listed ^ there):
        raise UserError(
            f"'{path}' is refused: '{printable(odd[0])[:200]}' is {'not there' if odd[0] in listed else 'not listed'}."
        )
    return manifest


def _digest(member: bytes | Path) -> str:
    digest = sha256()
    for block in _blocks(member):
        digest.update(block)
    return digest.hexdigest()


def _size(member: bytes | Path) -> int:
    return len(member) if isinstance(member, bytes) else member.stat().st_size


def _blocks(member: bytes | Path) -> Iterator[bytes]:
    if isinstance(member, bytes):
        yield member
        return
    with member.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block
