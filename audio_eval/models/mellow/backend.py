"""The mellow backend: Mellow (arXiv 2503.08540) through its own package, in a Python of its own; it only generates."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from audio_eval.cache import file_digest, kept_digest
from audio_eval.errors import NotHere, UserError
from audio_eval.models.backends import BackendConfig, Limits
from audio_eval.models.catalog import ModelEntry

if TYPE_CHECKING:
    from audio_eval.models.mellow.policy import MellowPolicy

REPOSITORY = "soham97/mellow"  # on the hub, as the package has it


class MellowSettings(BackendConfig):
    """Where the package is. docs/mellow.md says how it is installed."""

    python: str | None = Field(
        default=None, description="the Python that Mellow's requirements are installed in, as /envs/mellow/bin/python"
    )
    folder: str | None = Field(default=None, description="a checkout of github.com/soham97/mellow")
    unpickle: bool = Field(
        default=False, description="the weights are a pickle, which can run any code when opened: true allows it"
    )


class Mellow:
    """A Backend. transformers 5 no longer has what the package calls, so it cannot run in this process."""

    name = "mellow"
    Config = MellowSettings
    can_train = False
    takes_long_audio = ("skip",)

    def locate(self, entry: ModelEntry) -> str:
        """The weights in the hub's cache, where the package puts them."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(REPOSITORY, f"{_version(entry)}.ckpt")
        if not isinstance(found, str):
            raise NotHere(f"{entry.source} is not on this machine: the package downloads it")
        return found

    def identity(self, entry: ModelEntry, config: MellowSettings) -> dict[str, str]:
        """The sha256 of the weights, and that of the package's code, which decides what they say."""
        weights, (_, checkout) = self.locate(entry), _installed(config)
        package = sha256()
        for file in sorted(path for path in (checkout / "mellow").rglob("*") if path.suffix in (".py", ".yaml")):
            package.update(f"{file.relative_to(checkout)} {file_digest(file)}\n".encode())
        return {Path(weights).name: kept_digest(Path(weights)), "package": package.hexdigest()}

    def load(self, entry: ModelEntry, config: MellowSettings, limits: Limits) -> MellowPolicy:
        """The model in a process of its own, its weights downloaded by the package where they are not here."""
        from audio_eval.models.mellow.policy import MellowPolicy
        from audio_eval.models.mellow.process import MellowProcess

        version, (python, checkout), device = _version(entry), _installed(config), limits.device or "cpu"
        if not config.unpickle:
            raise UserError(
                "backend 'mellow': the package unpickles its weights, which can run any code: "
                "--model-args unpickle=true allows it."
            )
        process = MellowProcess(str(python), str(checkout), version, device)
        return MellowPolicy(entry.name, kept_digest(Path(self.locate(entry)))[:12], device, process, limits)


def _version(entry: ModelEntry) -> str:
    """What the package calls the weights: v0, v0_s."""
    repository, _, file = entry.source.rpartition("/")
    if repository != REPOSITORY or file not in ("v0.ckpt", "v0_s.ckpt"):
        raise UserError(f"backend 'mellow' has no model '{entry.name}'. Available: mellow, mellow-v0_s.")
    if entry.revision:
        raise UserError(f"model '{entry.name}': the package takes the latest weights, so no revision can be named.")
    return file.removesuffix(".ckpt")


def _installed(config: MellowSettings) -> tuple[Path, Path]:
    """The Python and the checkout; ``UserError`` where they are not there."""
    python, checkout = Path(config.python or "").expanduser(), Path(config.folder or "").expanduser()
    if config.python and python.is_file() and config.folder and (checkout / "mellow" / "__init__.py").is_file():
        return python.absolute(), checkout.absolute()  # not resolved: a virtual environment's Python is a link
    raise UserError(
        "backend 'mellow' needs the package, which pip has not: git clone https://github.com/soham97/mellow, "
        "pip install -r mellow/requirements.txt in an environment of its own, then --model-args "
        "python=ENVIRONMENT/bin/python,folder=mellow,unpickle=true."
    )
