"""What is sent to a server, and how the numbers it gives are read."""

import base64
import io
import json
import math
from typing import Any

from PIL import Image as PILImage

from aligngemini.branches.semantic.backend import Pixels
from aligngemini.models.qwen_facts import MIN_PIXELS, PATCH, visual_grid
from aligngemini.prompts import Prompt

PLACE = "<image>"


def picture(image: Pixels, max_pixels: int, *, min_pixels: int = MIN_PIXELS) -> str:
    """An image as PNG in base64, at the size that the model sees.

    Resized here as the model's own processor would, so that no server does it its own way.

    Args:
        image: (H, W, 3) uint8 RGB.
        max_pixels: Larger images are shrunk to this many.
        min_pixels: Smaller ones are enlarged to this many.
    """
    height, width = image.shape[:2]
    rows, columns = visual_grid(height, width, min_pixels=min_pixels, max_pixels=max_pixels)
    size = (columns * PATCH, rows * PATCH)
    file = io.BytesIO()
    PILImage.fromarray(image).resize(size, PILImage.Resampling.BICUBIC).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def chat_question(image: str, prompt: Prompt) -> list[dict[str, Any]]:
    """The user's message of a chat completion, about an image in base64."""
    return [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {"type": "text", "text": prompt.question},
    ]


def systemone_question(image: str, prompt: Prompt) -> dict[str, Any]:
    """A System One request for a choice of the two verdicts, about an image in base64."""
    return {
        "state": {"image": PLACE},
        "assets": {PLACE: {"type": "image", "format": "png", "data_base64": image}},
        "questions": {
            "verdict": {
                "type": "choice",
                "instructions": prompt.question,
                "criteria": {"fake": prompt.fake, "real": prompt.real},
            }
        },
    }


def systemone_log_odds(answer: dict[str, Any]) -> float | None:
    """Log-odds of `fake` in a System One answer, or None where it holds none."""
    try:
        given = answer["answers"]["verdict"]["probabilities"]
        fake, real = float(given["fake"]), float(given["real"])
    except (KeyError, TypeError, ValueError):
        return None
    # A probability in float32 rounds to 0 long before its logarithm ends.
    return math.log(max(fake, 1e-30)) - math.log(max(real, 1e-30))


def decision_config(prompt: Prompt, chat: str) -> dict[str, Any]:
    """Settings with which `transformers serve --decision-config FILE` reads verdicts as we do.

    Args:
        prompt: The wording.
        chat: See `runtimes.vlm.chat_text`.
    """
    opening, words = first_words(prompt)
    return {
        # The endpoint takes labels of one token alone, and says so where they are not.
        "labels": {"choice": [word.rstrip(".!") for word in words]},
        # Naming the state is what has the image put in.
        "chat_template": f"{{% if state %}}{{% endif %}}{{{{ {json.dumps(chat + opening)} }}}}",
    }


def first_words(prompt: Prompt) -> tuple[str, tuple[str, str]]:
    """What both verdicts begin with, in whole words, and what is left of each."""
    pairs = enumerate(zip(prompt.fake, prompt.real, strict=False))
    parts = next((k for k, (a, b) in pairs if a != b), min(len(prompt.fake), len(prompt.real)))
    cut = max(prompt.fake.rfind(" ", 0, parts), 0)
    return prompt.fake[:cut], (prompt.fake[cut:], prompt.real[cut:])


def top_log_odds(choice: dict[str, Any], words: tuple[str, str]) -> float | None:
    """Log-odds of the two verdicts' first tokens in a choice that lists the likeliest ones.

    A word that is not listed counts as likely as the last of the list.

    Returns:
        None where neither is listed.

    Raises:
        ValueError: The choice lists no log-probabilities.
    """
    try:
        top = choice["logprobs"]["content"][0]["top_logprobs"]
        likely = {str(entry["token"]): float(entry["logprob"]) for entry in top}
        least = min(likely.values())
    except (KeyError, IndexError, TypeError, ValueError):
        raise ValueError("no log-probabilities") from None
    fake = _log_probability(words[0], words[1], likely)
    real = _log_probability(words[1], words[0], likely)
    if fake is None and real is None:
        return None
    return (least if fake is None else fake) - (least if real is None else real)


def _log_probability(word: str, other: str, likely: dict[str, float]) -> float | None:
    """Of the token that begins a word; None where it is not listed."""
    begins = [
        token
        for token in likely
        if token.strip() and word.startswith(token) and not other.startswith(token)
    ]
    # Of several, the longest: the shorter are other ways to spell the same.
    return likely[max(begins, key=len)] if begins else None
