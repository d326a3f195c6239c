"""Train tiny-omni from scratch: ``python scripts/tiny_omni/train.py --out DIR`` (two CPU cores, 25 minutes).

Each row of a batch is one clip with several questions that cannot see each other. The clip is computed once, every
question attends to the clip and to itself, and its positions continue those of the clip. This gives the same loss as
one row per question, at half the cost. The training data are synth_aqa's ``train`` split alone.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mixture import Turn, draw_turns
from transformers import Qwen2_5OmniThinkerForConditionalGeneration as Thinker
from transformers import Qwen2Tokenizer

from audio_eval.models.hf.features import log_mel
from audio_eval.models.tiny_omni import architecture
from audio_eval.tasks.synth_aqa.items import SIZES, Item, make_item


def split_prompt(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids of the chat template before and after the audio placeholders of the user's turn."""
    audio = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "\0"}]}]
    text = tokenizer.apply_chat_template(audio, tokenize=False, add_generation_prompt=True)
    before, after = text.split("<|AUDIO|>")
    head, tail = after.split("\0")
    assert head == "<|audio_eos|>"
    return tokenizer.encode(before), tokenizer.encode(tail)


class Batcher:
    """Packs clips and turns into tensors: each of the rows (R) has a clip as shared prefix and one branch per turn."""

    def __init__(self, tokenizer: Any, audio_tokens: int) -> None:
        self.tokenizer, self.audio_tokens = tokenizer, audio_tokens
        self.before, self.tail = split_prompt(tokenizer)
        self.audio_id, self.audio_eos, self.end = tokenizer.convert_tokens_to_ids(
            ["<|AUDIO|>", "<|audio_eos|>", "<|im_end|>"]
        )
        self.prefix = [*self.before, *[self.audio_id] * audio_tokens, self.audio_eos]

    def branch(self, turn: Turn) -> tuple[list[int], int]:
        """Token ids of a turn after the clip, and how many of them belong to the answer (end token included)."""
        answer = [*self.tokenizer.encode(turn.answer), self.end]
        return [*self.tokenizer.encode(turn.prompt), *self.tail, *answer], len(answer)

    def pack(self, rows: list[list[Turn]]) -> dict[str, torch.Tensor]:
        """input_ids_RT, position_ids_RT, a bool mask_R1TT (True: may attend) and labels_RT (-100: no loss)."""
        packed = []
        for turns in rows:
            ids, pos = list(self.prefix), list(range(len(self.prefix)))
            owner, labels = [-1] * len(ids), [-100] * len(ids)  # owner -1: the prefix, which all branches see
            for j, turn in enumerate(turns):
                branch, n_answer = self.branch(turn)
                ids += branch
                pos += range(len(self.prefix), len(self.prefix) + len(branch))
                owner += [j] * len(branch)
                labels += [-100] * (len(branch) - n_answer) + branch[-n_answer:]
            packed.append((ids, pos, owner, labels))
        longest = max(len(ids) for ids, *_ in packed)

        def stack(column: int, fill: int) -> torch.Tensor:
            return torch.tensor([row[column] + [fill] * (longest - len(row[column])) for row in packed])

        owner_RT = stack(2, -2)
        same = owner_RT[:, :, None] == owner_RT[:, None, :]
        mask = (same | (owner_RT == -1)[:, None, :]) & torch.ones(longest, longest, dtype=torch.bool).tril()
        mask |= torch.eye(longest, dtype=torch.bool)  # padding has to attend to something
        return {
            "input_ids": stack(0, self.tokenizer.pad_token_id), "position_ids": stack(1, 0),
            "mask": mask[:, None], "labels": stack(3, -100),
        }  # fmt: skip


def forward_loss(model: Thinker, batcher: Batcher, mels: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mean negative log-likelihood of the answer tokens; mels (R, 128, frames) of equal length."""
    n, _, frames = mels.shape
    flat = mels.transpose(0, 1).reshape(mels.shape[1], -1)
    lens = torch.full((n,), frames)
    after_cnn, _ = model.model.audio_tower._get_feat_extract_output_lengths(lens)
    audio = model.model.audio_tower(flat, feature_lens=lens, aftercnn_lens=after_cnn).last_hidden_state
    embeds = model.get_input_embeddings()(batch["input_ids"])
    start = len(batcher.before)
    embeds = torch.cat(
        [embeds[:, :start], audio.view(n, batcher.audio_tokens, -1), embeds[:, start + batcher.audio_tokens :]], dim=1
    )
    hidden = model.model.language_model(
        inputs_embeds=embeds, attention_mask=batch["mask"], position_ids=batch["position_ids"], use_cache=False
    ).last_hidden_state
    predicts = batch["labels"][:, 1:] != -100
    return F.cross_entropy(model.lm_head(hidden[:, :-1][predicts]), batch["labels"][:, 1:][predicts])


def load_clips(items: list[Item]) -> torch.Tensor:
    """Log-mel features of every clip, float16 (clips, 128, 200)."""
    extractor = architecture.feature_extractor()
    mels = [log_mel(extractor, item.pcm().astype(np.float32) / 32768) for item in items]
    return torch.from_numpy(np.stack(mels).astype(np.float16))


def make_optimizers(model: Thinker, lr: float, muon_lr: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; ``peak`` stores the highest rate of each group."""
    inner = [p for n, p in model.named_parameters() if ".layers." in n and p.ndim == 2]
    matrices = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in matrices and p.requires_grad]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.01)]
    optimizers.append(torch.optim.Muon(inner, lr=muon_lr, weight_decay=0.05))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


def train(args: argparse.Namespace) -> None:
    """The whole training; checkpoint, tokenizer and loss curve go to ``args.out``. Warm-up, then a cosine schedule."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    rng = random.Random(args.seed)
    started = time.monotonic()
    items = [make_item(0, "train", i) for i in range(args.clips)]
    if args.init:
        tokenizer = Qwen2Tokenizer.from_pretrained(args.init)
        model = Thinker.from_pretrained(args.init, use_safetensors=True)
    else:
        corpus = [turn for item in items for turn in draw_turns(rng, item.scene.facts, 4)]
        template = architecture.CHAT_TEMPLATE.replace("{", "").replace("}", "")
        tokenizer = architecture.train_tokenizer([text for turn in corpus for text in turn] + [template] * 50)
        model = Thinker(architecture.config(tokenizer))
    mels = load_clips(items)
    model.train()
    n_params = sum(p.numel() for p in model.parameters())
    batcher = Batcher(tokenizer, audio_tokens=50)
    optimizers = make_optimizers(model, args.lr, args.muon_lr)
    curve: list[dict[str, float]] = []
    print(f"{n_params / 1e6:.2f} M parameters, {len(tokenizer)} tokens, data ready after "
          f"{time.monotonic() - started:.0f} s", flush=True)  # fmt: skip
    order: list[int] = []
    running = 0.0
    for step in range(args.steps):
        warm = min(1.0, (step + 1) / 150)
        scale = warm * (0.5 + 0.5 * math.cos(math.pi * step / args.steps))
        if len(order) < args.rows:
            order = rng.sample(range(len(items)), len(items))
        rows = [order.pop() for _ in range(args.rows)]
        turns = [draw_turns(rng, items[i].scene.facts, args.turns, args.rare_tags) for i in rows]
        loss = forward_loss(model, batcher, mels[rows].float(), batcher.pack(turns))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = scale * group["peak"]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running += loss.item() / args.log_every
        if (step + 1) % args.log_every == 0:
            curve.append({"step": step + 1, "loss": round(running, 4), "seconds": round(time.monotonic() - started, 1)})
            print(json.dumps(curve[-1]), flush=True)
            running = 0.0
            if args.save_every and (step + 1) % args.save_every == 0:
                save(args.out, model, tokenizer, curve, args)
    save(args.out, model, tokenizer, curve, args)


def save(out: Path, model: Thinker, tokenizer: Any, curve: list[dict], args: argparse.Namespace) -> None:
    """Write the checkpoint folder, with the files of a hub repository, and the training record."""
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    architecture.feature_extractor().save_pretrained(out)
    before = json.loads((args.init / "training.json").read_text()) if args.init else []
    arguments = {k: str(v) for k, v in vars(args).items() if k not in ("out", "init")}
    (out / "training.json").write_text(json.dumps([*before, {"arguments": arguments, "curve": curve}], indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="continue from this checkpoint instead of from scratch")
    parser.add_argument("--rare-tags", type=float, default=0.0, help="share of tagged answers for the other kinds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=16, help="clips per step")
    parser.add_argument("--turns", type=int, default=4, help="turns per clip: a caption, and questions")
    parser.add_argument("--clips", type=int, default=SIZES["train"])
    parser.add_argument("--lr", type=float, default=3e-3, help="AdamW's peak rate (embeddings, head, convolutions)")
    parser.add_argument("--muon-lr", type=float, default=0.02, help="Muon's peak rate: matrices in the layers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log-every", type=int, default=50)
    parser.add_argument("--save-every", type=int, default=500)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
