"""A step of AQA-TTRL: our engine against repeated prompts and repeated samples.

    python bench/vs_repeat.py --n 16 [--model tiny-omni|wide] [--steps 5]

A step samples N completions for each of 8 questions and makes one GRPO update on them with fixed advantages. The
reference works as common trainers do: N independent rows in sampling, each with its own copy of the prompt, and N rows
in the gradient. It is a strong reference: clips are encoded once for both, its finished rows leave the batch, and its
head runs on the completions only. Both gradients are computed on our samples. ``wide`` has random weights (hidden 512,
8 layers). Its answers do not end by themselves, so they are cut at 8 tokens, and it is sampled at temperature 0.2,
where samples repeat as with a trained model (with --temperature 1 all of them differ). The last line is one JSON
object; ``max_rel_grad_diff`` in it is the largest difference of a gradient's element, relative to the largest element.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate
from transformers import AutoConfig, DynamicCache, Qwen2_5OmniThinkerForConditionalGeneration

from audio_eval.cli.run import quiet_libraries
from audio_eval.group import Group
from audio_eval.models.catalog import TINY_OMNI
from audio_eval.models.hf.inputs import EmbeddedPrompt, right_pad
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question
from audio_eval.seeding import stream
from audio_eval.task import load_task

QUESTIONS = 8
CLIP = 0.2
WIDE = {
    "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 8, "num_attention_heads": 8,
    "num_key_value_heads": 2, "layer_types": ["full_attention"] * 8,
}  # fmt: skip


def build_wide(folder: Path) -> Path:
    """A checkpoint like tiny-omni's, with a wider language model and random weights."""
    shutil.copytree(TINY_OMNI.source, folder)
    raw = json.loads((folder / "config.json").read_text())
    raw["text_config"] |= WIDE
    raw["text_config"]["rope_parameters"]["mrope_section"] = [8, 12, 12]
    raw["audio_config"]["output_dim"] = raw["vision_config"]["out_hidden_size"] = WIDE["hidden_size"]
    (folder / "config.json").write_text(json.dumps(raw))
    model = Qwen2_5OmniThinkerForConditionalGeneration(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "embed_positions" not in name:
                table = "embed_tokens" in name or "lm_head" in name
                std = 0.3 if table else 1 / math.sqrt(parameter[0].numel())
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    model.save_pretrained(folder)
    return folder


# --- the reference -------------------------------------------------------------------------------------------------


def repeated_prompts(policy: HFPolicy, questions: Sequence[Question], n: int) -> list[EmbeddedPrompt]:
    """Every prompt, n times."""
    prompts = [p for p in policy.encoder.prompts(questions) if isinstance(p, EmbeddedPrompt)]
    return [prompt for prompt in prompts for _ in range(n)]


@torch.no_grad()
def sample_rows(policy: HFPolicy, questions: Sequence[Question], sampling: Sampling, seed: int) -> list[list[int]]:
    """Sample N independent rows per question; returns the tokens of each."""
    lm, head = policy.model.model.language_model, policy.model.lm_head
    embeds_RPH, mask_RP = right_pad([prompt.embeds for prompt in repeated_prompts(policy, questions, sampling.n)])
    position_R, cache = mask_RP.sum(dim=1), DynamicCache(config=lm.config)
    positions = torch.arange(mask_RP.shape[1]).expand_as(mask_RP)
    out = lm(inputs_embeds=embeds_RPH, attention_mask=mask_RP, position_ids=positions, past_key_values=cache)
    logits_RV = head(out.last_hidden_state[torch.arange(len(mask_RP)), position_R - 1])
    generator, tokens = torch.Generator().manual_seed(seed), [[] for _ in mask_RP]
    live = torch.arange(len(mask_RP))
    assert sampling.max_tokens is not None
    for _ in range(sampling.max_tokens):
        drawn_R1 = torch.softmax(logits_RV / sampling.temperature, dim=-1).multinomial(1, generator=generator)
        for row, token in zip(live.tolist(), drawn_R1[:, 0].tolist(), strict=True):
            tokens[row].append(token)
        going = torch.tensor([token not in policy._end_ids for token in drawn_R1[:, 0].tolist()])
        if not going.any():
            break
        if not going.all():
            kept = going.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            live, drawn_R1, mask_RP, position_R = live[kept], drawn_R1[kept], mask_RP[kept], position_R[kept]
        mask_RP = torch.cat([mask_RP, mask_RP.new_ones(len(mask_RP), 1)], dim=1)
        out = lm(input_ids=drawn_R1, attention_mask=mask_RP, position_ids=position_R[:, None], past_key_values=cache)
        position_R, logits_RV = position_R + 1, head(out.last_hidden_state[:, -1])
    return tokens


def repeated_gradient(
    policy: HFPolicy, groups: Sequence[Group], advantages: Sequence[np.ndarray], budget: int
) -> float:
    """Accumulate the gradient of GRPO's loss in the parameters, with one row per sample; returns the loss."""
    rows = [
        (group.question, completion.tokens, float(advantage))
        for group, of_group in zip(groups, advantages, strict=True)
        for completion, advantage, count in zip(group.completions, of_group, group.counts, strict=True)
        for _ in range(count)
    ]
    lm, embed = policy.model.model.language_model, policy.model.get_input_embeddings()
    for parameter in policy._trainer.names:
        parameter.grad = None
    total, start = 0.0, 0
    with torch.no_grad():
        lengths = {q.id: len(p.embeds) for q in (g.question for g in groups) for p in policy.encoder.prompts([q])}
    rows.sort(key=lambda row: -(lengths[row[0].id] + len(row[1])))
    while start < len(rows):
        size = max(1, budget // (lengths[rows[start][0].id] + len(rows[start][1])))
        batch, start = rows[start : start + size], start + size
        prompts = [p.embeds for p in policy.encoder.prompts([question for question, _, _ in batch])]
        tokens = [torch.tensor(t) for _, t, _ in batch]
        embeds_RLH, mask_RL = right_pad([torch.cat([p, embed(t[:-1])]) for p, t in zip(prompts, tokens, strict=True)])
        positions = torch.arange(mask_RL.shape[1]).expand_as(mask_RL)
        hidden = lm(
            inputs_embeds=embeds_RLH, attention_mask=mask_RL, position_ids=positions, use_cache=False
        ).last_hidden_state
        loss = torch.zeros(())
        for r, (prompt, target, (_, _, advantage)) in enumerate(zip(prompts, tokens, batch, strict=True)):
            logits = policy.model.lm_head(hidden[r, len(prompt) - 1 : len(prompt) - 1 + len(target)])
            logprobs = torch.log_softmax(logits.float(), dim=-1).gather(1, target[:, None])[:, 0]
            ratio = (logprobs - logprobs.detach()).exp()
            loss = loss - torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage).mean()
        (loss / len(rows)).backward()
        total += float(loss.detach()) / len(rows)
    return total


def repeated_update(
    policy: HFPolicy, training: Training, groups: Sequence[Group], advantages: Sequence[np.ndarray]
) -> None:
    """One whole update of the reference."""
    repeated_gradient(policy, groups, advantages, training.token_budget)
    torch.nn.utils.clip_grad_norm_(list(policy._trainer.names), training.max_grad_norm)
    policy._trainer.optimizer.step()
    policy._trainer.optimizer.zero_grad(set_to_none=True)


# --- the comparison ------------------------------------------------------------------------------------------------


def given_advantages(groups: Sequence[Group]) -> list[np.ndarray]:
    """Random advantages; none is zero, so that neither side can skip a group."""
    return [stream(0, "advantages", group.question.id).normal(size=len(group.completions)) for group in groups]


def differences(policy: HFPolicy, training: Training, groups: Sequence[Group]) -> tuple[float, float, float]:
    """How much the gradients differ, at the same weights and samples.

    Returns the largest difference of an element relative to the largest element, the norm of the difference relative to
    the norm of the gradient, and the difference of the losses.
    """
    assert policy._trainer is not None, "begin_training comes first"
    advantages, learner = given_advantages(groups), policy._trainer.learner
    loss = learner.backward(learner.gather(groups, advantages), None, None)["loss"]
    ours = {n: p.grad for p, n in policy._trainer.names.items() if p.grad is not None}
    theirs_loss = repeated_gradient(policy, groups, advantages, training.token_budget)
    theirs = {n: p.grad for p, n in policy._trainer.names.items() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    a, b = (torch.cat([gradient.flatten() for gradient in side.values()]).double() for side in (ours, theirs))
    return float((a - b).abs().max() / b.abs().max()), float((a - b).norm() / b.norm()), abs(loss - theirs_loss)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=16, help="samples per question")
    parser.add_argument("--model", choices=["tiny-omni", "wide"], default="tiny-omni")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each, after one warm-up step")
    parser.add_argument("--tune", choices=["lora", "full"], help="default: full for tiny-omni, lora for wide")
    parser.add_argument("--temperature", type=float, help="default: 1 for tiny-omni, 0.2 for wide")
    parser.add_argument("--token-budget", type=int, default=8192, help="tokens of a micro-batch, the same for both")
    args = parser.parse_args()
    quiet_libraries()
    questions = load_task("synth_aqa", limit=QUESTIONS).questions
    with tempfile.TemporaryDirectory() as folder:
        source = TINY_OMNI.source if args.model == "tiny-omni" else str(build_wide(Path(folder) / "wide"))
        policy = HFPolicy(args.model, source, device="cpu", max_tokens=64 if args.model == "tiny-omni" else 8)
    tune = args.tune or ("full" if args.model == "tiny-omni" else "lora")
    training = Training(tune=tune, token_budget=args.token_budget, clip=CLIP)
    policy.begin_training(training, seed=0)
    temperature = args.temperature or (1.0 if args.model == "tiny-omni" else 0.2)
    sampling = Sampling(n=args.n, temperature=temperature, max_tokens=policy.max_tokens)
    groups = policy.generate(questions, sampling.keyed("equal"))
    largest, norm, loss_difference = differences(policy, training, groups)

    names = ("ours, sampling", "ours, update", "reference, sampling", "reference, update")
    times: dict[str, list[float]] = {name: [] for name in names}
    unique, length = [], []
    for step in range(args.steps + 1):
        clock = [time.perf_counter()]
        groups = policy.generate(questions, sampling.keyed(f"step{step}"))
        clock.append(time.perf_counter())
        policy.train_step(groups, given_advantages(groups))
        clock.append(time.perf_counter())
        sample_rows(policy, questions, sampling, step)
        clock.append(time.perf_counter())
        repeated_update(policy, training, groups, given_advantages(groups))
        clock.append(time.perf_counter())
        if step:  # the first one warms up
            for name, before, after in zip(names, clock[:-1], clock[1:], strict=True):
                times[name].append(after - before)
            unique += [len(group.completions) for group in groups]
            length += [len(c.tokens) for group in groups for c in group.completions]
    ours, reference = (
        statistics.median(a + b for a, b in zip(times[f"{who}, sampling"], times[f"{who}, update"], strict=True))
        for who in ("ours", "reference")
    )
    median = {name: statistics.median(values) for name, values in times.items()}
    table = [
        [part, median[f"ours, {part}"], median[f"reference, {part}"],
         median[f"reference, {part}"] / median[f"ours, {part}"]]
        for part in ("sampling", "update")
    ]  # fmt: skip
    print(f"{args.model}, {tune}: {QUESTIONS} questions x {args.n} samples, {statistics.fmean(unique):.1f} unique,")
    print(f"{statistics.fmean(length):.1f} tokens each; seconds, median of {args.steps} steps\n")
    rows = [*table, ["step", ours, reference, reference / ours]]
    print(tabulate(rows, headers=["", "ours", "reference", "ratio"], floatfmt=".3f"))
    print(f"\ngradient: elements differ by at most {largest:.1e} of the largest, the whole by {norm:.1e} of its norm")
    print(f"loss: differs by {loss_difference:.1e}")
    result = {
        "benchmark": "vs_repeat", "n": args.n, "ratio": round(reference / ours, 2), "ours_s": round(ours, 4),
        "reference_s": round(reference, 4), "max_rel_grad_diff": largest, "loss_diff": loss_difference,
        "model": args.model, "torch": torch.__version__, "threads": torch.get_num_threads(),
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
