"""The disk that checkpoints take is known to the byte before the first step."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import save

from audio_eval.models.hf.disk import checkpoint_bytes, file_bytes
from tests.models.conftest import Built
from tests.models.training import MIXED, advantages_of, both_ways, names_of, settings, started, step

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "I64": torch.int64, "U8": torch.uint8}


@examples(max_examples=40)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z.|_]{1,40}", fullmatch=True),
        st.tuples(st.sampled_from(sorted(DTYPES)), st.lists(st.integers(0, 5), max_size=3)),
        max_size=6,
    ),
    st.none()
    | st.dictionaries(st.from_regex("[a-z]{1,9}", fullmatch=True), st.text(max_size=9), min_size=1, max_size=2),
)
def test_a_file_has_the_size_that_safetensors_gives_it(tensors: dict, metadata: dict | None) -> None:
    made = {name: torch.zeros(shape, dtype=DTYPES[dtype]) for name, (dtype, shape) in tensors.items()}
    assert file_bytes(tensors, metadata) == len(save(made, metadata))


@both_ways
def test_a_checkpoint_is_as_large_as_was_said_before_the_first_step(built: Built, tune: str, tmp_path: Path) -> None:
    policy = started(built, settings(tune))
    shapes = {name: parameter.shape for parameter, name in names_of(policy).items()}
    said = [checkpoint_bytes(shapes, tune, moments, policy.checkpoint.family.vllm_name) for moments in (True, False)]
    step(policy, MIXED, advantages_of(MIXED))
    policy.save(tmp_path)
    sizes = {path.relative_to(tmp_path).as_posix(): path.stat().st_size for path in tmp_path.rglob("*.safetensors")}
    assert said[0] == sum(sizes.values())
    assert said[1] == said[0] - sizes["optimizer.safetensors"]
