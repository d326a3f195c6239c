"""Files of tensors: the bytes are safetensors' own, and a second copy of all tensors is never held."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from audio_eval.models.hf.tensors import TYPES, read_tensors, size_of, write_tensors

Specs = dict[str, tuple[torch.dtype, list[int]]]
NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name != "__metadata__" and name.isprintable())
SPECS = st.dictionaries(
    NAMES, st.tuples(st.sampled_from(list(TYPES)), st.lists(st.integers(0, 4), max_size=3)), min_size=1, max_size=8
)


def made(specs: Specs) -> dict[str, torch.Tensor]:
    return {name: (torch.rand(shape) * 100).to(dtype) for name, (dtype, shape) in specs.items()}


@settings(max_examples=50, deadline=None)
@given(specs=SPECS, metadata=st.none() | st.dictionaries(NAMES, st.text(max_size=8), min_size=1, max_size=1))
def test_the_bytes_are_those_of_safetensors(
    specs: Specs, metadata: dict[str, str] | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, tensors = tmp_path_factory.mktemp("tensors"), made(specs)
    save_file(tensors, folder / "theirs", metadata)
    write_tensors(folder / "ours", tensors, metadata)
    assert (folder / "ours").read_bytes() == (folder / "theirs").read_bytes()
    read = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    read_tensors(folder / "ours", read)
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_views_are_written_as_they_are(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    write_tensors(tmp_path / "file", {"transposed": whole.T, "row": whole[1]})
    read = {"transposed": torch.zeros(4, 3), "row": torch.zeros(4)}
    read_tensors(tmp_path / "file", read)
    assert torch.equal(read["transposed"], whole.T) and torch.equal(read["row"], whole[1])


def test_one_tensor_at_a_time_is_copied_to_host_memory(tmp_path: Path) -> None:
    copies: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    class Remote(torch.Tensor):
        """Stands for a tensor on a GPU."""

        def cpu(self, *args: object, **kwargs: object) -> torch.Tensor:
            alive.append(sum(copy() is not None for copy in copies))
            copy = self.as_subclass(torch.Tensor).clone()
            copies.append(weakref.ref(copy))
            return copy

    tensors = {str(i): torch.ones(10).as_subclass(Remote) for i in range(5)}
    write_tensors(tmp_path / "file", tensors)
    assert len(copies) == 5 and max(alive) <= 1, "the last one may live until the next one is there"
    assert size_of(tensors) == 200
