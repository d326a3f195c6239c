"""What is checked of how a family decodes: static shapes, replayed steps, merged adapters."""

from __future__ import annotations

import numpy as np
import torch

from audio_eval.models.hf.branches import Branches
from audio_eval.models.hf.graphs import Graphs
from audio_eval.models.hf.inputs import EmbeddedPrompt
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.prefill import prefill
from audio_eval.models.hf.rollout_weights import RolloutWeights
from audio_eval.models.hf.static_branches import Memory, StaticBranches
from audio_eval.models.policy import Sampling
from tests.models.families.checks import Built, mixed
from tests.models.replay import Recorder
from tests.models.training import everything, names_of, settings

SAMPLINGS = (Sampling(max_tokens=4), Sampling(n=6, temperature=0.3, max_tokens=4, stream="vote"))


def same_hidden_states(policy: HFPolicy) -> None:
    """Rows split, end and lose questions, in replayed steps: hidden states are those of the dynamic shapes."""
    checkpoint = policy.checkpoint
    model, masks = checkpoint.language_model, checkpoint.family.layer_masks
    embeds = [p.embeds for p in policy.encoder.prompts(mixed(policy)) if isinstance(p, EmbeddedPrompt)]
    rng, graphs = np.random.default_rng(0), Graphs(Recorder())
    memory = Memory(graphs, checkpoint.device)
    with torch.no_grad():
        prompts = prefill(model, embeds)
        for _ in range(2):  # again in the same memory
            dynamic, static = Branches(model, prompts, masks), StaticBranches(model, prompts, memory, graphs, masks)
            rows = len(embeds)
            for count in (5, 9, 9, 12, 12, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2):  # past 16, the smallest own bucket
                parents = sorted(rng.integers(0, rows, count).tolist()) if count != rows else list(range(rows))
                tokens = rng.integers(0, 200, count).tolist()
                dynamic.advance(parents, tokens)
                static.advance(parents, tokens)
                torch.testing.assert_close(static.hidden_RH, dynamic.hidden_RH, rtol=1e-5, atol=1e-5)
                rows = count
    assert graphs.captured > 2 and graphs.replayed > 10 and graphs.reason is None


def same_answers_merged(built: Built) -> None:
    """With LoRA merged into the weights the same answers are given as without; afterwards the base is what it was."""
    policy = built.fresh()
    policy.begin_training(settings("lora"), 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter, name in names_of(policy).items():
            if "lora_B" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    before, asked = everything(policy), mixed(policy)
    want = [policy.generate(asked, sampling) for sampling in SAMPLINGS]
    policy.decoding.merged = RolloutWeights(policy._trainer.peft)
    policy._prefills.drop()
    assert [policy.generate(asked, sampling) for sampling in SAMPLINGS] == want
    assert policy.decoding.merged.computed == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in everything(policy).items())
