"""Our policies as models of lm-eval: ``audio-hf``, ``audio-api``, and ``audio-NAME`` of every other backend."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar, cast

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook, TemplateLM
from lm_eval.api.registry import model_registry
from lm_eval.models.utils import has_bos_prefix, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.lm_eval.likelihood import likelihoods
from audio_eval.lm_eval.requests import MAX_TOKENS, Chat, recordings, sampling, user_turn
from audio_eval.lm_eval.response_cache import ResponseCache
from audio_eval.models.backends import Limits, LongAudio, choose
from audio_eval.models.hf.chat_templates import TemplateFails
from audio_eval.models.policy import Policy, ReadsTokens, Sampling
from audio_eval.openai_client import refuse_secrets
from audio_eval.plugins import registered
from audio_eval.questions import Question
from audio_eval.seeding import stream

T = TypeVar("T")
log = logging.getLogger(__name__)
DEFAULT = {"hf": "tiny-omni"}  # what a backend is asked for without a name
_AHEAD = 8  # batches that a policy is given at once, so that it can sort them and read audio ahead
_SHOWN = 5  # failed items that are named on the terminal


def register() -> None:
    """Make our backends known to lm-eval, which has no entry points for models."""
    for name in registered("backends"):
        if f"audio-{name}" not in model_registry:
            model_registry.register(f"audio-{name}")(type(f"Audio_{name}", (PolicyLM,), {"backend_name": name}))


@dataclass
class Asked:
    """A request of lm-eval that generates, as a question; its answers go to ``places``."""

    request: Instance
    question: Question
    places: list[int]
    length: int


class PolicyLM(TemplateLM):
    """A policy that lm-eval evaluates. Its settings are those of ``--model_args``.

    ``pretrained`` (or ``model``) is a named model, a hub id, a folder, or a server's name for it; ``settings`` are the
    backend's. ``batch_size`` "auto" is our own default, ``max_length`` None the model's own.
    """

    MULTIMODAL = True
    backend_name: ClassVar[str]

    def __init__(
        self,
        pretrained: str | None = None,
        model: str | None = None,
        adapter: str | None = None,
        long_audio: LongAudio = "cut",
        deterministic: bool = False,
        batch_size: int | str = "auto",
        max_batch_size: int | None = None,
        device: str | None = None,
        max_length: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        refuse_secrets({"--model_args": settings})
        if not isinstance(deterministic, bool):
            raise UserError(f"--model_args deterministic={deterministic}: give true or false.")
        name = pretrained or model or DEFAULT.get(self.backend_name)
        if name is None:
            raise UserError(f"audio-{self.backend_name} needs the name of a model: --model_args pretrained=NAME.")
        chosen = choose(str(name), self.backend_name, settings, adapter)
        self._batch_size, self._max_length = _batch_size(batch_size), max_length
        if device and device.startswith("cuda") and not torch.cuda.is_available():
            device = None  # lm-eval asks for cuda:0 where the user says nothing
        self.policy: Policy = chosen.load(Limits(self._batch_size, MAX_TOKENS, device, long_audio, deterministic))
        self._told = {
            "name": self.policy.info.name, "revision": self.policy.info.revision, "files": chosen.digests(),
            "settings": settings | ({"deterministic": True} if deterministic else {}), "long_audio": long_audio,
            "max_length": max_length,
        }  # fmt: skip
        self._failed: dict[str, str] = {}  # by item, why it has no answer
        self._truncated: set[str] = set()
        self._reader = self.policy if isinstance(self.policy, ReadsTokens) else None
        self.tokenizer = self._reader and self._reader.tokenizer
        self.set_cache_hook(self.cache_hook)

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """``UserError`` where the cache of responses is another model's."""
        self._cache = ResponseCache(cache_hook, self._told)

    def get_model_info(self) -> dict[str, Any]:
        """For lm-eval's results file: the model's revision, and what was wrong with items."""
        return {
            "model_name": self.policy.info.name, "model_revision": self.policy.info.revision,
            "failed_items": self._failed, "truncated_items": sorted(self._truncated),
        }  # fmt: skip

    # --- text ------------------------------------------------------------------------------------------------------

    @property
    def _tokens(self) -> ReadsTokens:
        if self._reader is None:
            raise UserError(
                f"audio-{self.backend_name} can only generate: a task of likelihoods (multiple_choice, loglikelihood) "
                "needs audio-hf."
            )
        return self._reader

    @property
    def eot_token_id(self) -> int:
        """The end of a text."""
        return int(self._tokens.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without context."""
        begin = self._tokens.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    @property
    def max_length(self) -> int:
        """How many tokens a prompt and its completion may have together."""
        return self._max_length or self._tokens.max_length

    @property
    def tokenizer_name(self) -> str:
        """For the name of a cache file."""
        return self.policy.info.name.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """As lm-eval's hf model: the tokenizer's own special tokens, unless the text begins with them."""
        tokenizer = self._tokens.tokenizer
        if add_special_tokens is None:
            add_special_tokens = not has_bos_prefix(string, tokenizer.decode(self.prefix_token_id))
        return list(tokenizer.encode(string, add_special_tokens=add_special_tokens))

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation in the model's chat template; a server has a template of its own."""
        if self._reader is None:
            return Chat(json.dumps(chat_history, ensure_ascii=False), chat_history)
        render = partial(
            self._reader.tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )  # fmt: skip
        try:
            return Chat(render(chat_history), chat_history)
        except TemplateFails:  # as lm-eval's hf model does
            log.warning("the chat template fails, perhaps at the system text: that is left out.")
            rest = [message for message in chat_history if message["role"] != "system"]
            return Chat(render(rest), rest)

    # --- generating ------------------------------------------------------------------------------------------------

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """One answer for each request, "" where there is none. Repeats of a request are samples of one question.

        An item with a recording is asked in the model's chat template, whether lm-eval applies one or not.
        """
        answers = [""] * len(requests)
        self._failed, self._truncated = {}, set()
        with tqdm(total=len(requests), desc="Running generate_until requests", disable=disable_tqdm) as bar:
            for how, asked in self._alike(requests):
                for part in _parts(sorted(asked, key=lambda each: -each.length), _AHEAD * self._batch_size):
                    groups = self.policy.generate([each.question for each in part], how)
                    for each, group in zip(part, groups, strict=True):
                        for place, text in zip(each.places, self._texts(each, group, how), strict=True):
                            answers[place] = text
                        bar.update(len(each.places))
        self._tell()
        return answers

    def _alike(self, requests: Sequence[Instance]) -> Iterator[tuple[Sampling, list[Asked]]]:
        """The requests as questions, those together that are sampled in the same way."""
        places: dict[int, list[int]] = defaultdict(list)  # lm-eval repeats a request by listing it again
        for place, request in enumerate(requests):
            places[id(request)].append(place)
        seed = torch.initial_seed()  # which is how lm-eval tells a model its --seed
        alike: dict[Sampling, list[Asked]] = defaultdict(list)
        for own in places.values():
            request = requests[own[0]]
            how = sampling(request.args[1], len(own), seed)
            alike[how].append(self._asked(request, own, how))
        yield from alike.items()

    def _asked(self, request: Instance, places: list[int], how: Sampling) -> Asked:
        context, _, *more = request.args
        audios = recordings(more[0]) if more else []
        if audios or self._reader is None:
            prompt = user_turn(context)
            question = Question(_item(request), None, prompt, (), prompt).hearing(audios)
            return Asked(request, question, places, len(prompt))
        room = self.max_length - (how.max_tokens or 0)
        if room <= 0:
            raise UserError(f"max_gen_toks {how.max_tokens} leaves no room for a prompt in {self.max_length} tokens.")
        tokens = tuple(self.tok_encode(context)[-room:])
        return Asked(request, Question(_item(request), None, "", (), "", tokens=tokens), places, len(tokens))

    def _texts(self, each: Asked, group: Group, how: Sampling) -> list[str]:
        """The answers of a group, in random order; those that are good are kept in the cache."""
        item, arguments = each.question.id, each.request.args
        if group.error is not None:
            self._failed[item] = group.error
            self._cache.failed("generate_until", arguments)
            return [""] * len(each.places)
        if group.truncated:
            self._truncated.add(item)
        texts = [
            self._text(each, one, how) for one, n in zip(group.completions, group.counts, strict=True) for _ in range(n)
        ]
        if how.n > 1:  # the most frequent comes first, and a filter may take the first
            texts = [texts[i] for i in stream(how.seed or 0, item, "order").permutation(len(texts))]
        self._cache.keep("generate_until", arguments, texts[0])
        return texts

    def _text(self, each: Asked, completion: Completion, how: Sampling) -> str:
        """A continuation of plain text keeps its blanks, as in lm-eval; what a policy answers has none around it."""
        if each.question.tokens is None:
            return completion.text
        text = self._tokens.tokenizer.decode(completion.token_ids, skip_special_tokens=True)
        return cast(str, postprocess_generated_text(text, list(how.stop), None))

    def _tell(self) -> None:
        """Say which items have no answer, as their "" will be scored like one."""
        if self._failed:
            shown = "; ".join(f"{item}: {' '.join(why.split())}" for item, why in [*self._failed.items()][:_SHOWN])
            log.warning("%d items failed and are scored as an empty answer: %s", len(self._failed), shown)

    # --- likelihoods -----------------------------------------------------------------------------------------------

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """lm-eval's own, for text. ``UserError`` for items with recordings."""
        if any(len(request.args) > 2 for request in requests):
            raise UserError(
                "lm-eval defines no likelihoods of answers to a recording: make the task a generate_until one, or take "
                "audio-eval --method choice_likelihood."
            )
        return cast("list[tuple[float, bool]]", super().loglikelihood(requests, disable_tqdm))

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """The log-likelihood of each text, in windows as long as the model takes, each token predicted once."""
        windows, owners = [], []
        for number, request in enumerate(requests):
            tokens = self.tok_encode(request.args[0])
            for window in get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1):
                windows.append((None, *make_disjoint_window(window)))
                owners.append(number)
        totals = [0.0] * len(requests)
        for number, (value, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm), strict=True):
            totals[number] += value
        for request, total in zip(requests, totals, strict=True):
            self._cache.keep("loglikelihood_rolling", request.args, total)
        return totals

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[Any, list[int], list[int]]], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """The log-likelihood of each continuation, and whether greedy decoding gives it."""
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        pairs = [(tuple(context), tuple(continuation)) for _, context, continuation in requests]
        scored = likelihoods(self._tokens, pairs, self.max_length, _AHEAD * self._batch_size)
        for place, value, greedy in tqdm(scored, "Running loglikelihood requests", len(requests), disable=disable_tqdm):
            answers[place] = (value, greedy)
            if requests[place][0] is not None:  # the windows of a long text have no request of their own
                self._cache.keep("loglikelihood", requests[place][0], (value, greedy))
        return answers


def _item(request: Instance) -> str:
    """The item of a request in messages and random streams: its own id, where it has one."""
    return f"{request.task_name}/{request.doc.get('id', request.doc_id)}/{request.idx}"


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _batch_size(given: int | str) -> int:
    if str(given).startswith("auto"):
        return Limits().batch_size
    if not str(given).isdigit() or int(given) < 1:
        raise UserError(f"--batch_size {given}: give a number of 1 and more, or auto.")
    return int(given)
