"""The vision-language model of the studies: Qwen2.5-VL, taught to describe before it is to judge.

At tiny scale it is a small one of the same classes. Its vision tower first learns what there is in
scenes (which stands for a tower pretrained on captions), then its language model learns to say it
(which stands for a VLM's own pretraining). Neither is ever told whether a scene breaks its rule. At
full scale it is the released model. Supervision is DPO on the verdict (arXiv 2305.18290, with the
likelihoods of the verdict sentences), LoRA in the language model, the tower frozen: its visual
tokens are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional as F

from aligngemini.experiments.tiny_qwen import tiny_qwen
from aligngemini.experiments.vision import draw_pairs, optimise
from aligngemini.experiments.world.scene import RULES, Scene
from aligngemini.experiments.world.sets import LabelledImages
from aligngemini.experiments.world.words import QUESTION, facts
from aligngemini.images.degrade import Pixels
from aligngemini.models.qwen import load_model, load_processor
from aligngemini.prompts import Prompt
from aligngemini.runtimes.vlm import chat_text

PROMPT = Prompt(question="Possible?", fake="no", real="yes")
AT_ONCE = 64  # images through the tower
TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


@dataclass(frozen=True)
class VlmSettings:
    """How the vision-language model is made and trained.

    Attributes:
        base: A released one, of `models.qwen.MODELS`; empty for a small one of our own.
        width: Channels of the small one.
        layers: Of its language model.
        sight_steps: Of its tower's pretraining.
        sight_rate: Likewise.
        words_steps: Of its language model's.
        words_rate: Likewise.
        steps: Of supervision.
        rate: Learning rate of supervision.
        batch: Images a step; half as many again in pretraining.
        rank: Of the LoRA adapters; their alpha is twice that (AlignGemini: 16 and 32).
        beta: Of DPO.
    """

    base: str = ""
    width: int = 64
    layers: int = 3
    sight_steps: int = 400
    sight_rate: float = 2e-3
    words_steps: int = 400
    words_rate: float = 2e-3
    steps: int = 300
    rate: float = 2e-3
    batch: int = 32
    rank: int = 16
    beta: float = 0.5


class StudyVlm:
    """A model, its processor, and the tokens of one image of fixed size."""

    def __init__(self, settings: VlmSettings, side: int) -> None:
        """Load the released model, or make a small one with random weights.

        Raises:
            OSError: The released one is not there.
        """
        self.settings = settings
        if settings.base:
            self.model = load_model(settings.base, dtype=_dtype()).to(_device())
            self.processor = load_processor(settings.base, max_pixels=side**2)
        else:
            texts = [QUESTION, PROMPT.question, PROMPT.fake, PROMPT.real]
            self.model, self.processor = tiny_qwen(settings.width, settings.layers, side, texts)
        self.model.requires_grad_(False)

    def see(self, pixels: Pixels) -> Tensor:
        """(N, tokens, width) visual tokens, with gradients where the tower has them."""
        found = self.processor.image_processor(images=list(pixels), return_tensors="pt")
        values = found["pixel_values"].to(self.model.device, self.model.dtype)
        grid = found["image_grid_thw"].to(self.model.device)
        tower = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        output = tower.model.visual(values, grid_thw=grid)
        # Older versions of transformers give the tokens themselves.
        tokens: Tensor = output if isinstance(output, Tensor) else output.pooler_output
        return torch.unflatten(tokens, 0, (len(pixels), -1))

    def looked_at(self, pixels: Pixels) -> Tensor:
        """(N, tokens, width) visual tokens of many images, without gradients."""
        with torch.no_grad():
            return torch.cat(
                [self.see(pixels[k : k + AT_ONCE]) for k in range(0, len(pixels), AT_ONCE)]
            )

    def read(self, tokens: Tensor, question: str, answers: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Logits behind a question about images, and the ids of the answers.

        Args:
            tokens: (N, tokens, width).
            question: Asked of all.
            answers: N texts, all of the same number of tokens.

        Returns:
            (N, length, vocabulary) logits that predict the answers, and (N, length) their ids.
        """
        tokenizer = self.processor.tokenizer
        chat = tokenizer(chat_text(self.processor, Prompt(question=question)))["input_ids"]
        image = self.processor.image_token_id
        place = chat.index(image)
        start = [*chat[:place], *[image] * tokens.shape[1], *chat[place + 1 :]]
        ids = torch.tensor([start + tokenizer(answer)["input_ids"] for answer in answers])
        ids = ids.to(self.model.device)
        length = ids.shape[1] - len(start)
        words = self.model.get_input_embeddings()(ids)
        seen = torch.zeros_like(words)
        seen[:, place : place + tokens.shape[1]] = tokens.to(words)
        here = (ids == image)[..., None]
        cells = int(tokens.shape[1] ** 0.5)
        merge = self.processor.image_processor.merge_size
        grid = torch.tensor([[1, cells * merge, cells * merge]] * len(ids), device=ids.device)
        output = self.model(
            input_ids=ids,
            inputs_embeds=torch.where(here, seen, words),
            image_grid_thw=grid,
            mm_token_type_ids=here[..., 0].int(),
            attention_mask=torch.ones_like(ids),
        )
        return output.logits[:, -length - 1 : -1].float(), ids[:, -length:]

    def verdict(self, tokens: Tensor) -> Tensor:
        """(N,) log-likelihood of the verdict `fake` less that of `real`, one token each."""
        fake, real = (self._token(answer) for answer in (PROMPT.fake, PROMPT.real))
        logits, _ = self.read(tokens, PROMPT.question, [PROMPT.fake] * len(tokens))
        return logits[:, 0, fake] - logits[:, 0, real]

    def _token(self, word: str) -> int:
        (token,) = self.processor.tokenizer(word)["input_ids"]
        return int(token)


def learn_to_see(vlm: StudyVlm, pixels: Pixels, scenes: Sequence[Scene], seed: int) -> None:
    """Pretrain the tower: where everything is and how large, by linear units on its tokens."""
    truth = torch.from_numpy(np.stack([_contents(scene) for scene in scenes])).float()
    truth = (truth - truth.mean(0)) / truth.std(0)
    kinds = torch.tensor([RULES.index(scene.rule) for scene in scenes])
    with torch.no_grad():
        width = vlm.see(pixels[:1]).flatten(1).shape[1]
    outputs = truth.shape[1] + len(RULES)
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, outputs))
    tower = vlm.model.model.visual.requires_grad_(True)
    rng = np.random.default_rng(seed)

    def loss() -> Tensor:
        chosen = rng.integers(len(pixels), size=vlm.settings.batch * 3 // 2)
        output = head(vlm.see(pixels[chosen]).flatten(1))
        sizes, kind = output.split([truth.shape[1], len(RULES)], 1)
        return F.l1_loss(sizes, truth[chosen]) + 0.3 * F.cross_entropy(kind, kinds[chosen])

    trained = [*tower.parameters(), *head.parameters()]
    optimise(trained, loss, vlm.settings.sight_steps, vlm.settings.sight_rate)
    tower.requires_grad_(False)


def learn_to_say(vlm: StudyVlm, pixels: Pixels, scenes: Sequence[Scene], seed: int) -> None:
    """Pretrain the language model: say what there is, its facts in any order."""
    tokens = vlm.looked_at(pixels)
    told = [facts(scene) for scene in scenes]
    rng = np.random.default_rng(seed)
    trained = [weight for name, weight in vlm.model.named_parameters() if "visual" not in name]
    for weight in trained:
        weight.requires_grad_(True)

    def loss() -> Tensor:
        chosen = rng.integers(len(tokens), size=vlm.settings.batch * 3 // 2)
        answers = [_say(told[k], rng) for k in chosen]
        logits, ids = vlm.read(tokens[chosen], QUESTION, answers)
        return F.cross_entropy(logits.flatten(0, 1), ids.flatten())

    optimise(trained, loss, vlm.settings.words_steps, vlm.settings.words_rate)
    vlm.model.requires_grad_(False)


def supervise(
    vlm: StudyVlm, images: LabelledImages, seed: int, *, tower_steps: int | None = None
) -> None:
    """DPO of LoRA adapters on verdicts; the model as it came is the reference.

    Args:
        vlm: The model; gets its adapters here.
        images: In pairs.
        seed: Of the draws.
        tower_steps: Train the tower too, all its weights, for so many steps in place of the usual.
    """
    settings = vlm.settings
    tokens = vlm.looked_at(images.pixels)
    with torch.no_grad():
        parts = [vlm.verdict(part) for part in tokens.split(AT_ONCE)]
    reference = torch.cat(parts)
    sign = torch.from_numpy(np.where(images.fake, 1.0, -1.0)).to(reference)
    config = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=TARGETS)
    vlm.model = get_peft_model(vlm.model, config)
    if tower_steps is not None:
        vlm.model.get_base_model().model.visual.requires_grad_(True)
    draws = np.random.default_rng(seed)

    def loss() -> Tensor:
        chosen = draw_pairs(draws, len(tokens), settings.batch)
        seen = tokens[chosen] if tower_steps is None else vlm.see(images.pixels[chosen])
        margin = vlm.verdict(seen) - reference[chosen]
        return -F.logsigmoid(settings.beta * sign[chosen] * margin).mean()

    trained = [weight for weight in vlm.model.parameters() if weight.requires_grad]
    optimise(trained, loss, tower_steps or settings.steps, settings.rate)


@torch.no_grad()
def scores(vlm: StudyVlm, pixels: Pixels) -> npt.NDArray[np.float64]:
    """(N,) `StudyVlm.verdict` of images."""
    parts = [
        vlm.verdict(vlm.looked_at(pixels[k : k + AT_ONCE])) for k in range(0, len(pixels), AT_ONCE)
    ]
    return torch.cat(parts).double().cpu().numpy()


def fact_accuracy(vlm: StudyVlm, pixels: Pixels, scenes: Sequence[Scene]) -> float:
    """Share of facts that the model, told their names, gets right; chance is 0.5."""
    rng = np.random.default_rng(0)
    told = [facts(scene) for scene in scenes]
    with torch.no_grad():
        answers = [_say(one, rng) for one in told]
        logits, ids = vlm.read(vlm.looked_at(pixels), QUESTION, answers)
    sides = vlm.processor.tokenizer("left right")["input_ids"]
    asked = (ids == sides[0]) | (ids == sides[1])
    says_left = logits[..., sides[0]] > logits[..., sides[1]]
    return float((says_left == (ids == sides[0]))[asked].float().mean())


def _say(told: dict[str, str], rng: np.random.Generator) -> str:
    names = [list(told)[k] for k in rng.permutation(len(told))]
    return " ".join(f"{name} {told[name]}" for name in names)


def _contents(scene: Scene) -> npt.NDArray[np.float64]:
    """What a caption could hold in numbers; nothing of it says which effect should be where."""
    return np.array([*scene.sizes, *scene.effects, *scene.colours.mean(1) / 255])


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _dtype() -> torch.dtype:
    return torch.bfloat16 if torch.cuda.is_available() else torch.float32
