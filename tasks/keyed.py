"""The class of our tasks in lm-eval: its cache of requests then knows the items that they were made of."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from lm_eval.api.task import ConfigurableTask


class KeyedTask(ConfigurableTask):
    """lm-eval finds cached requests by the task's name and their form alone, whatever items they were made of.

    Items of another folder, or corrected ones, would be scored with the requests of the old ones.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def build_all_requests(self, *, tokenizer_name: str = "", **options: Any) -> None:
        """lm-eval's own, with a digest of the items in the name of the cache file."""
        if options.get("cache_requests"):
            tokenizer_name += f"-items{self._digest()}"
        super().build_all_requests(tokenizer_name=tokenizer_name, **options)

    def _digest(self) -> str:
        """A fingerprint of all that requests are made of: prompts, recordings, settings of generation."""
        digest = sha256(json.dumps(self.config.generation_kwargs, sort_keys=True).encode())
        for doc in self.eval_docs:
            told = [self.doc_to_text(doc), self.doc_to_target(doc), self.doc_to_audio(doc)]
            digest.update(json.dumps(told).encode())
        return digest.hexdigest()[:16]
