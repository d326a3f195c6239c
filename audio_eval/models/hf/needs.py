"""How much memory a run takes, from the dimensions of its model and its settings alone.

The parts are those that live at the same time in one of a run's moments; the largest moment decides. All are bytes.
What tensors exist and how large they are is exact; transients are those of the operation that has most
(tests/models/test_needs.py measures them). Not counted: the CUDA context (about 0.5 GB) and what the allocator loses to
fragments, for which a device should have 5 to 10 % more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from audio_eval.models.hf import activations
from audio_eval.models.hf.dimensions import Dimensions, count
from audio_eval.models.hf.disk import BLOCK, EIGHT_BITS_FROM, Shapes, checkpoint_bytes
from audio_eval.models.hf.draws import _CELLS
from audio_eval.models.hf.layout import ALIGN, row_length
from audio_eval.models.hf.room import BUDGET, LEAST
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Training

# host memory of Python with torch and transformers, and CUDA's libraries: estimates
PROCESS, PROCESS_CUDA = 1_000_000_000, 3_000_000_000
_TOKENS_PER_SECOND = 25  # of a recording, in the prompt
Parts = dict[str, int]


@dataclass(frozen=True)
class Sampled:
    """A kind of sampling: so many completions of each of so many questions at once, within training or before it."""

    name: str
    questions: int
    samples: int
    in_training: bool = False


@dataclass(frozen=True)
class Work:
    """What a run asks of the engine. ``prompt`` and ``answer`` are the most tokens of either, ``seconds`` those of the
    longest recording, ``clips`` how many there are. An update takes ``step`` questions with ``group`` completions each.
    """

    sampled: Sequence[Sampled]
    prompt: int
    answer: int
    seconds: float
    clips: int
    step: int = 0
    group: int = 0


@dataclass(frozen=True)
class Needs:
    """Bytes: of the device, the parts of each moment; of host memory; of a checkpoint with the moments, and without."""

    moments: dict[str, Parts]
    host: int
    checkpoint: int
    weights: int

    @property
    def largest(self) -> str:
        """The moment that needs most."""
        return max(self.moments, key=lambda name: sum(self.moments[name].values()))

    @property
    def device(self) -> int:
        """Bytes of the largest moment."""
        return sum(self.moments[self.largest].values())


def needs(d: Dimensions, work: Work, engine: EngineSettings, training: Training | None, gpu: bool) -> Needs:
    """What a run needs; ``training`` is None where nothing is trained. Without a ``gpu`` all of it is host memory."""
    training = training and settled(training, gpu)
    b = {"float32": 4, "bfloat16": 2, "float16": 2}.get(engine.dtype, 2 if gpu else 4)
    moments: dict[str, Parts] = {}
    for sampled in work.sampled:
        held = resident(d, work, engine, training if sampled.in_training else None, b, gpu)
        moments[sampled.name] = held | sampling(d, work, sampled, engine, b)
    if training is not None and work.step:
        held = resident(d, work, engine, training, b, gpu)
        moments["update"] = held | update(d, work, training, b)
        if training.beta > 0 and training.tune == "full":
            moments["reference"] = held | scoring(d, work, training, b)
    device = max(sum(parts.values()) for parts in moments.values())
    checkpoint, weights, host = 0, 0, device
    if training is not None:
        trained = d.trained(training)
        checkpoint, weights = (
            checkpoint_bytes(trained, training.tune, whole, d.vllm_names, training.optimizer) for whole in (True, False)
        )
    if gpu:
        host = max(b * d.parameters, sum(on_host(d, training).values()))
    return Needs(moments, host + (PROCESS_CUDA if gpu else PROCESS), checkpoint, weights)


def settled(training: Training, gpu: bool) -> Training:
    """``training`` with what it leaves open: on a GPU full tuning has checkpointing, and micro-batches take what memory
    there is (``room``), so that what is needed is that of the smallest ones.
    """
    checkpointing, budget = training.checkpointing, training.token_budget
    if checkpointing is None:
        checkpointing = gpu and training.tune == "full"
    budget = budget or (LEAST if gpu else BUDGET)
    return training.model_copy(update={"checkpointing": checkpointing, "token_budget": budget})


def resident(d: Dimensions, work: Work, engine: EngineSettings, training: Training | None, b: int, gpu: bool) -> Parts:
    """What is there all the time: weights, encoded clips, and in training the optimizer's moments.

    Fully tuned weights are float32, as adapters are; the others have the engine's dtype. Adapters that are merged for
    sampling leave merged weights beside the base. What a KL penalty keeps: see ``on_host``; adapters are taken off for
    the reference.
    """
    clips = work.clips * int(work.seconds * _TOKENS_PER_SECOND) * d.hidden * b
    parts = {"encoded clips": min(clips, int(engine.cache_gb * (1 << 30))) if engine.cache_on == "device" else 0}
    if training is None:
        return {"weights": b * d.parameters, **parts}
    trained = d.trained(training)
    full = training.tune == "full"
    frozen = d.parameters - (count(trained) if full else 0)
    parts["weights"] = b * frozen + 4 * count(trained)
    merges = getattr(engine, "merge_rollouts", False)
    if not full and (gpu if merges == "auto" else merges):
        parts["merged weights"] = b * count(d.linear)
    if not gpu:
        parts |= on_host(d, training)
    if training.optimizer != "adamw_offloaded":
        parts["moments"] = _moments(trained, training)
    return parts


def on_host(d: Dimensions, training: Training | None) -> Parts:
    """What training keeps in host memory: offloaded moments, and the starting weights that a KL penalty needs with full
    tuning, in bfloat16 as checkpoints on the hub are.
    """
    parts: Parts = {}
    if training is None:
        return parts
    if training.optimizer == "adamw_offloaded":
        parts["moments"] = _moments(d.trained(training), training)
    if training.beta > 0 and training.tune == "full":
        parts["reference"] = 2 * count(d.trained(training))
    return parts


def _moments(trained: Shapes, training: Training) -> int:
    """Two moments of AdamW: float32, or eight bits with a scale per block."""
    if training.optimizer != "adamw_8bit":
        return 8 * count(trained)
    sizes = [prod(shape) for shape in trained.values()]
    return sum(2 * n + 8 * -(-n // BLOCK) if n >= EIGHT_BITS_FROM else 8 * n for n in sizes)


def sampling(d: Dimensions, work: Work, sampled: Sampled, engine: EngineSettings, b: int) -> Parts:
    """Sampling a batch, whose rows may all differ and be as long as is allowed.

    The prompts' keys and values and their embeddings stay. The prefill has at most three tensors of the feed-forward
    width and three of the hidden one per token at once, the rotation's two, and the mask of each question. Each row has
    keys and values of its own; a step of decoding has its scores over the prompt, before and after the exponential in
    float32, and a copy of one layer's keys; drawing has logits, probabilities (float32) and their sums (float64), for
    some rows at a time.
    """
    questions = min(sampled.questions, max(1, engine.token_budget // work.prompt))
    tokens, rows = questions * work.prompt, questions * sampled.samples
    prefill = tokens * (3 * b * (d.inner + d.hidden) + 8 * d.head_dim) + b * questions * work.prompt**2
    own = rows * work.answer * d.cached * b
    scores = rows * d.heads * work.prompt * (b + 4)
    drawing = 16 * min(rows * d.vocabulary, max(_CELLS, d.vocabulary))
    return {
        "keys and values": tokens * d.cached * b + own,
        "prompts": tokens * d.hidden * b,
        "one operation": max(prefill - own, scores + own // d.layers, drawing),
    }


def update(d: Dimensions, work: Work, training: Training, b: int) -> Parts:
    """The gradient of the largest micro-batch.

    The peak is at the logits, when all activations are kept, or in the backward pass of a layer, which with
    checkpointing computes that layer's activations again. At the logits a position has six numbers in float32 for each
    word (logits, probabilities, and the gradients of the two terms); a layer's backward pass has the gradients of its
    feed-forward part, three of its width (and of the adapters' float32 copies of them, in bfloat16). Autocast's copies
    of the weights are kept by the layers and the head; with checkpointing, the layers' only until the forward ends.
    """
    training = settled(training, gpu=False)
    rows, length, completions = micro_batch(work, training)
    tokens, full = rows * length, training.tune == "full"
    of_layer = activations.layer(d, training, b) * tokens
    copies = activations.casts(d, training, b)
    predicted = rows * completions * work.answer
    logits = 24 * min(predicted, training.logits_chunk) * d.vocabulary
    layer = (3 if full or b == 4 else 5) * b * d.inner * tokens
    if training.checkpointing:
        kept = activations.kept_layer_input(d, training, b) * tokens
        of_head = min(copies, b * d.vocabulary * d.hidden)
        logits, layer = logits + copies - of_head, layer + of_layer + (copies - of_head) // d.layers
        copies = of_head
    else:
        kept = of_layer
    parts = {
        "gradients": 4 * count(d.trained(training)),
        "weights in bfloat16": copies,
        "activations": kept * d.layers
        + activations.around(d, training, b) * tokens
        + b * (rows * length**2 + predicted * d.hidden),
        "logits or a layer": max(logits, layer),
    }
    if full and training.train_tower and d.tower.layers:
        positions = rows * int(work.seconds * d.tower.rate)
        parts["activations of the tower"] = d.tower.layers * positions * activations.tower_layer(d.tower, b)
    return parts


def scoring(d: Dimensions, work: Work, training: Training, b: int) -> Parts:
    """Log-probabilities under the starting weights, which are put in the place of the trained ones for it.

    Without gradient: three numbers in float32 for each word of the vocabulary, and the layers as in a prefill.
    """
    rows, length, completions = micro_batch(work, training)
    logits = 12 * min(rows * completions * work.answer, training.logits_chunk) * d.vocabulary
    layer = 3 * b * rows * length * (d.inner + d.hidden)
    return {
        "the starting weights": 4 * count(d.trained(training)),
        "weights in bfloat16": activations.casts(d, training, b),
        "logits or a layer": max(logits, layer),
    }


def micro_batch(work: Work, training: Training) -> tuple[int, int, int]:
    """Rows, their length, and completions in each, of the largest micro-batch.

    A question that is longer than the budget by itself is split into rows that fit, of one completion at least.
    """
    group, budget = work.group, training.token_budget or BUDGET
    while group > 1 and row_length(work.prompt, [work.answer] * group) > budget:
        group -= 1
    length = -(-row_length(work.prompt, [work.answer] * group) // ALIGN) * ALIGN
    pieces = work.step * -(-work.group // group)
    return min(pieces, max(1, budget // length)), length, group
