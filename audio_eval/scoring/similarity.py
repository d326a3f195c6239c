"""Embedding similarity of open answers to the gold text; embedding models are loaded here alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from audio_eval.errors import UserError
from audio_eval.json_text import BadJson, parse_list
from audio_eval.regular import read_regular
from audio_eval.scoring.extraction import plain
from audio_eval.scoring.open_ended import final_answer

FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]  # never *.bin: no pickle is read
TOKENIZERS = ["**/tokenizer.json", "**/vocab.*", "**/*.model"]
# Of a model's modules. Others are imported by the names in its files, some from its folder, some with pickled weights.
MODULES = ("Transformer", "Pooling", "Normalize", "Dense", "LayerNorm")
BATCH = 32  # texts per forward pass


class Similarity:
    """Cosine of two texts' embeddings. The model is a hub id or a folder; it is loaded for the first score."""

    def __init__(self, model: str) -> None:
        self._source = EmbeddingModel(model)
        self.name = self._source.name

    @property
    def revision(self) -> str:
        """The embedding model's revision."""
        return self._source.revision

    def score(self, responses: Sequence[str], answers: Sequence[str]) -> list[float]:
        """The similarity of each response to its answer, 0..1; 0.0 where either text is empty.

        Only the final answer of a response is embedded, without boxes and markdown: a whole response would be compared
        by its style and reasoning. A cosine is clipped at 0 and not rescaled. Unrelated English text has about .55-.65
        with BGE, so (x+1)/2 would squeeze everything into .8..1, and no scale makes .6 mean "60 % right".

        Raises ``UserError`` when sentence-transformers is not installed or the model cannot be loaded.
        """
        pairs = [(plain(final_answer(said)), plain(gold)) for said, gold in zip(responses, answers, strict=True)]
        asked = [place for place, pair in enumerate(pairs) if all(pair)]
        scores = [0.0] * len(pairs)
        if asked:
            texts = [pairs[place][0] for place in asked] + [pairs[place][1] for place in asked]
            vectors = self._model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
            for place, cosine in zip(asked, (vectors[: len(asked)] * vectors[len(asked) :]).sum(axis=1), strict=True):
                scores[place] = min(max(float(cosine), 0.0), 1.0)
        return scores

    @cached_property
    def _model(self) -> Any:
        return self._source.load()


class EmbeddingModel:
    """A sentence-transformers model: a hub id ("owner/name") or a folder.

    Files are read when they are first needed. Code from a checkpoint is never run. ``name`` and ``revision`` say which
    model a number is from: cosines of different models cannot be compared.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        folder = Path(source).expanduser()
        self.name = folder.resolve().name if folder.is_dir() else source

    @cached_property
    def revision(self) -> str:
        """12 hex digits: the hub's commit, or the sha256 of the folder's files (weights, tokenizer and pooling)."""
        if not Path(self._source).expanduser().is_dir():
            return self._folder.name[:12]
        digest = sha256()
        for path in sorted(path for pattern in FILES for path in self._folder.rglob(pattern)):
            digest.update(path.relative_to(self._folder).as_posix().encode())
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()[:12]

    @cached_property
    def _folder(self) -> Path:
        """The model's files: the folder itself, or a hub snapshot, whose folder is named after its commit."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HTTPError

        folder = Path(self._source).expanduser()
        if folder.is_dir():
            return folder
        try:
            return Path(snapshot_download(self._source, allow_patterns=FILES))
        except (OSError, ValueError, HTTPError) as error:  # a failing proxy is the HTTP client's own error
            raise UserError(
                f"cannot fetch the embedding model '{self._source}' from the hub ({type(error).__name__}): give a hub "
                "id such as BAAI/bge-small-en-v1.5, or the folder of a copy."
            ) from error

    def load(self, dtype: str | None = None) -> Any:
        """A new ``SentenceTransformer``; ``dtype`` such as "float32", None: the type of the checkpoint's weights.

        Raises ``UserError`` when sentence-transformers is not installed or the model cannot be loaded.
        """
        try:
            from safetensors import SafetensorError
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UserError(
                "embeddings need sentence-transformers, which is not installed: pip install audio-eval[open-ended]."
            ) from error
        # Without these files transformers silently makes an empty tokenizer, for which all texts are the same.
        if not any(path for name in TOKENIZERS for path in self._folder.glob(name)):
            raise UserError(f"the embedding model '{self._source}' has no tokenizer: copy its tokenizer.json too.")
        self._check_files()
        kwargs = {"use_safetensors": True} | ({"dtype": dtype} if dtype else {})
        try:
            return SentenceTransformer(str(self._folder), trust_remote_code=False, model_kwargs=kwargs)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"the embedding model '{self._source}' cannot be loaded: give the folder of a sentence-transformers "
                f"model with safetensors weights. {reason}"
            ) from error

    def _check_files(self) -> None:
        """``UserError`` for modules that are none of ``MODULES``, that lie elsewhere, or whose weights are a pickle."""
        named, top = self._folder / "modules.json", self._folder.resolve()
        modules: list[object] | None = []
        try:
            modules = parse_list(read_regular(named)) if named.is_file() else []
        except (OSError, BadJson) as error:
            raise UserError(f"'{named}' cannot be read ({error}): copy the embedding model anew.") from None
        for module in modules or []:
            told = module if isinstance(module, dict) else {}
            kind, place = str(told.get("type", "")), str(told.get("path", ""))
            if not kind.startswith("sentence_transformers.") or kind.rpartition(".")[2] not in MODULES:
                raise UserError(
                    f"the embedding model '{self._source}' has a module '{kind[:100]}', whose code would be run: take "
                    f"a model of {', '.join(MODULES)}."
                )
            if not (lies := os.path.realpath(top / place)).startswith(str(top)):
                raise UserError(f"the embedding model '{self._source}' has a module in '{lies}': copy it anew.")
            if list((top / place).glob("*.bin")) and not list((top / place).glob("*.safetensors")):
                raise UserError(
                    f"the embedding model '{self._source}' has weights in a pickle, which is never read: save it again "
                    "with sentence-transformers' save_pretrained, which writes safetensors."
                )
