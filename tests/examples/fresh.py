"""A virtual environment of its own, over the one that the tests run in: torch is not installed a second time.

Its .pth file takes in the current site-packages, with their own .pth files. What is installed into it is in it alone.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin-method"


class Fresh:
    """The environment below ``folder``; commands run in ``folder`` and see no checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=False, symlinks=True)  # pip is in the environment below
        self.python = folder / "venv" / "bin" / "python"
        (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        lines = [f"import site; site.addsitedir({path!r})" for path in site.getsitepackages()]
        (packages / "below.pth").write_text("\n".join(lines) + "\n")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python ARGUMENTS``."""
        env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
        command = [str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=env, cwd=self.folder, check=False)

    def audio_eval(self, *arguments: str) -> str:
        """What a command that must succeed prints."""
        done = self.run("-m", "audio_eval", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def install(self, *sources: Path) -> None:
        """Not editable and without a network: from copies, as a build leaves its traces in the source."""
        copies = [shutil.copytree(source, self.folder / "sources" / source.name) for source in sources]
        flags = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
        done = self.run("-m", "pip", "install", *flags, *map(str, copies))
        assert done.returncode == 0, done.stderr


def write_distribution(folder: Path, name: str, methods: Mapping[str, str], modules: Mapping[str, str]) -> Path:
    """The source of a distribution with these entry points and modules."""
    home = folder / name
    home.mkdir(parents=True)
    points = "".join(f"{method} = {json.dumps(value)}\n" for method, value in methods.items())
    (home / "pyproject.toml").write_text(f"""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "0.1"

[project.entry-points."audio_eval.methods"]
{points}
[tool.setuptools]
py-modules = {json.dumps(list(modules))}
""")
    for module, code in modules.items():
        (home / f"{module}.py").write_text(code)
    return home
