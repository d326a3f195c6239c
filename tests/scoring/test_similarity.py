"""Embedding similarity, with a tiny random checkpoint of the real classes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.scoring.similarity import Similarity

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "cat", "barks", "rain", "the", "loudly"]


def checkpoint(folder: Path, seed: int) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel, BertTokenizer

    plain = folder / "bert"
    plain.mkdir(parents=True)
    (plain / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer(str(plain / "vocab.txt")).save_pretrained(plain)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(plain)
    transformer = Transformer(str(plain))
    model = SentenceTransformer(modules=[transformer, Pooling(16, pooling_mode="cls")], device="cpu")
    model.save(str(folder / "tiny-encoder"))
    return folder / "tiny-encoder"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("one"), 0)


def test_scores_are_clipped_cosines_of_the_answer_spans(encoder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    responses = ["a dog barks", "<think>rain</think>the cat", "<answer>a cat</answer>", "", "<think>a dog", "rain"]
    answers = ["a dog barks", "a dog barks loudly", "a cat", "a dog", "a dog", ""]
    scores = Similarity(str(encoder)).score(responses, answers)
    model = SentenceTransformer(str(encoder), device="cpu")
    one, other = model.encode(["the cat", "a dog barks loudly"], normalize_embeddings=True)
    assert scores == pytest.approx([1.0, max(float(one @ other), 0.0), 1.0, 0.0, 0.0, 0.0], abs=1e-5)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert all(type(score) is float for score in scores)


def test_more_texts_than_a_batch_keep_their_order(encoder: Path) -> None:
    words = [WORDS[5 + number % 7] for number in range(70)]
    similarity = Similarity(str(encoder))
    assert similarity.score(words, ["dog"] * 70) == pytest.approx(
        [similarity.score([word], ["dog"])[0] for word in words], abs=1e-5
    )
    assert similarity.score([], []) == []


def test_name_and_revision_say_which_model(encoder: Path, tmp_path: Path) -> None:
    similarity = Similarity(str(encoder))
    assert similarity.name == "tiny-encoder"
    assert len(similarity.revision) == 12 and int(similarity.revision, 16) >= 0
    assert Similarity(f"{encoder}/").revision == similarity.revision
    assert Similarity(str(checkpoint(tmp_path, 1))).revision != similarity.revision
    assert Similarity("owner/name").name == "owner/name"


def test_the_revision_of_a_hub_model_is_its_commit(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / ("0123456789abcdef" * 2 + "01234567")
    snapshot.symlink_to(encoder)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda source, allow_patterns: str(snapshot))
    similarity = Similarity("owner/tiny-encoder")
    assert (similarity.name, similarity.revision) == ("owner/tiny-encoder", "0123456789ab")
    assert similarity.score(["a dog"], ["a dog"]) == pytest.approx([1.0], abs=1e-5)


def test_an_unknown_model_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for model in ("nobody/nothing-like-this", "not a name", str(tmp_path)):
        with pytest.raises(UserError) as caught:
            Similarity(model).score(["a"], ["a"])
        assert model in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"torn"), "cannot be loaded"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "safetensors"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer"),
        (
            lambda folder: (folder / "modules.json").write_text('[{"idx":0,"name":"0","path":"","type":"own.M"}]'),
            "own.M",
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_one_line(
    encoder: Path, tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(encoder, folder)
    (folder / "own.py").write_text("raise SystemExit('code of a checkpoint was run')")
    damage(folder)
    with pytest.raises(UserError, match=words) as caught:
        Similarity(str(folder)).score(["a"], ["a"])
    assert "\n" not in str(caught.value)


def test_a_missing_package_is_one_line(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r"pip install audio-eval\[open-ended\]"):
        Similarity(str(encoder)).score(["a"], ["a"])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"type": "evil.M"}, "whose code would be run"),
        ({"type": "sentence_transformers.models.Router"}, "whose code would be run"),
        ({"path": "../elsewhere"}, "has a module in '.*elsewhere'"),
        ({"path": "pickled"}, "weights in a pickle"),
    ],
)
def test_nothing_of_a_stranger_s_encoder_is_run(
    changed: dict[str, str], says: str, encoder: Path, tmp_path: Path
) -> None:
    """sentence-transformers 5 imports the modules that a folder names, and unpickles the weights of a layer."""
    copy = Path(shutil.copytree(encoder, tmp_path / "copy"))
    (copy / "evil.py").write_text("raise SystemExit('it was imported')")
    (copy / "pickled").mkdir()
    (copy / "pickled" / "pytorch_model.bin").write_bytes(b"")
    modules = json.loads((copy / "modules.json").read_text())
    (copy / "modules.json").write_text(json.dumps([*modules[:1], {**modules[1], **changed}]))
    with pytest.raises(UserError, match=says):
        Similarity(str(copy)).score(["a"], ["dog"])
