"""A Qwen2.5-VL of the true classes at a size that a CPU trains from scratch."""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from aligngemini.experiments.world.words import WORDS
from aligngemini.models.qwen import PATCH, ImageQwenProcessor

UNKNOWN, PAD, END = "<|unknown|>", "<|endoftext|>", "<|im_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL = (UNKNOWN, PAD, "<|im_start|>", END, "<|vision_start|>", "<|vision_end|>", IMAGE, VIDEO)
TEMPLATE = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|> {% elif 'text' in part %}{{ part['text'] }}"
    "{% endif %}{% endfor %}{% endif %}<|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
# Qwen's own start, weights of 0.02 and positions that turn with a base of a million, is one for
# thousands of channels: at 64 neither signal nor position comes through.
START, TURN = 0.08, 10.0
HEADS = 2


def tiny_qwen(
    width: int, layers: int, side: int, texts: Sequence[str]
) -> tuple[Qwen2_5_VLForConditionalGeneration, ImageQwenProcessor]:
    """A model with random weights and its processor.

    Args:
        width: Channels of tower and language model; a multiple of 16.
        layers: Of the language model; the tower has two.
        side: Of its images, pixels; a multiple of 28.
        texts: What it must be able to say, besides the words of the world.
    """
    tokenizer = _tokenizer(texts)
    half = width // HEADS // 2
    ids = tokenizer.get_vocab()
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 512,
            "initializer_range": START,
            "bos_token_id": None,
            "eos_token_id": ids[END],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": TURN,
                "mrope_section": [half // 4, half // 4, half // 2],
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_heads": HEADS,
            "out_hidden_size": width,
            "fullatt_block_indexes": [0, 1],
            "window_size": 112,
            "initializer_range": START,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    model: Any = Qwen2_5_VLForConditionalGeneration(config)
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": PATCH**2, "longest_edge": max(side, PATCH) ** 2}
    )
    return model.eval(), ImageQwenProcessor(images, tokenizer, chat_template=TEMPLATE)


def _tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """One token a word: all that is ever said is known."""
    words = " ".join(texts).replace("?", " ?").split()
    known = dict.fromkeys([*SPECIAL, "user", "assistant", *WORDS, *words])
    vocabulary = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(SPECIAL[2:]),
        chat_template=TEMPLATE,
    )
