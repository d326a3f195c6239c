"""tiny-omni's configuration, tokenizer and chat template, all of the published classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Qwen2_5OmniThinkerConfig, Qwen2Tokenizer, WhisperFeatureExtractor

VOCABULARY = 1024
SPECIAL = (  # Qwen's own names, in the order of its vocabulary
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
    "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>",
)  # fmt: skip
CHAT_TEMPLATE = (  # Qwen2.5-Omni's, for text and audio
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> Qwen2Tokenizer:
    """Byte-level BPE with Qwen's special tokens, learned from ``texts``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = Qwen2Tokenizer(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": list(SPECIAL[3:])})
    fast.chat_template = CHAT_TEMPLATE
    return fast


def feature_extractor() -> WhisperFeatureExtractor:
    """Qwen2.5-Omni's own: 128 mels, 10 ms hop, 300 s."""
    return WhisperFeatureExtractor(feature_size=128, chunk_length=300, return_attention_mask=True)


def config(tokenizer: Any) -> Qwen2_5OmniThinkerConfig:
    """The thinker's configuration at tiny dimensions; ids are looked up in the tokenizer."""
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    vision: dict[str, Any] = {
        "vision_start_token_id": ids["<|vision_bos|>"],
        "vision_end_token_id": ids["<|vision_eos|>"],
    }
    return Qwen2_5OmniThinkerConfig(
        text_config=dict(
            vocab_size=len(tokenizer), hidden_size=128, intermediate_size=384, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=32768, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
            eos_token_id=ids["<|im_end|>"], pad_token_id=ids["<|endoftext|>"],
        ),
        audio_config=dict(
            num_mel_bins=128, d_model=128, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=512,
            output_dim=128, n_window=100,
        ),
        vision_config=dict(  # the class builds one; nothing here ever sees an image
            depth=1, hidden_size=32, intermediate_size=32, num_heads=2, out_hidden_size=128,
            fullatt_block_indexes=[0],
        ),
        audio_token_index=ids["<|AUDIO|>"], image_token_index=ids["<|IMAGE|>"], video_token_index=ids["<|VIDEO|>"],
        **vision,  # of the hub's configuration, though the class does not declare them
        audio_start_token_id=ids["<|audio_bos|>"], audio_end_token_id=ids["<|audio_eos|>"],
        user_token_id=tokenizer.convert_tokens_to_ids("user"),
    )  # fmt: skip
