"""One prefill against the two sentences read the long way, batches, adapters, wrong weights."""

import json

import numpy as np
import pytest
import torch
from fixtures.vlm import tiny_vlm_folder
from fixtures.vlm_answers import BRIGHT, DARK, loud_vlm_folder, shade
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file

from aligngemini.models.qwen import load_model, load_processor
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.vlm import Vlm

WORDINGS = {
    "default": Prompt(),
    "several tokens": Prompt(
        fake="This photo cannot exist.", real="This photo is possible, as far as it shows."
    ),
    "nothing in common": Prompt(fake="Impossible!", real="That may well be."),
    "one word more": Prompt(fake="It is not real", real="It is real"),
}
SIZES = [(70, 90), (140, 100), (70, 90), (300, 400), (90, 70), (140, 100), (66, 95)]


@pytest.fixture(scope="module")
def loud(tmp_path_factory):
    return loud_vlm_folder(tmp_path_factory.mktemp("vlm") / "loud")


@pytest.fixture(scope="module")
def images():
    levels = np.linspace(DARK, BRIGHT, len(SIZES)).astype(int)
    return [
        shade(level, *size, seed=k)
        for k, (level, size) in enumerate(zip(levels, SIZES, strict=True))
    ]


def vlm(folder, **settings):
    return Vlm(folder, min_pixels=4 * 784, max_pixels=16 * 784, device="cpu", **settings)


def the_long_way(model, folder, image, prompt):
    """Both answers read as a whole, each by itself, with no cache."""
    processor = load_processor(folder, min_pixels=4 * 784, max_pixels=16 * 784)
    content = [{"type": "image"}, {"type": "text", "text": prompt.question}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    rows, logits = [], []
    for verdict in (prompt.fake, prompt.real):
        inputs = processor(text=[chat + verdict], images=[image], return_tensors="pt")
        with torch.no_grad():
            logits.append(model(**inputs, use_cache=False).logits[0].double())
        rows.append(inputs["input_ids"][0].tolist())
    start = next(k for k in range(min(map(len, rows))) if rows[0][k] != rows[1][k])
    return [
        sum(log.log_softmax(-1)[k - 1, row[k]].item() for k in range(start, len(row)))
        for log, row in zip(logits, rows, strict=True)
    ]


@pytest.mark.parametrize("prompt", WORDINGS.values(), ids=WORDINGS.keys())
def test_one_prefill_gives_the_likelihoods_of_the_long_way(loud, images, prompt):
    expected = [
        the_long_way(load_model(loud).eval(), loud, Image.fromarray(image), prompt)
        for image in images[:4]
    ]
    scores = vlm(loud, prompt=prompt).score(images[:4])
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert np.ptp(scores, axis=0).min() > 0.01, "the images are told apart"


@pytest.mark.parametrize("tokens_per_batch", [1, 40, 8192])
@pytest.mark.parametrize("wording", ["default", "several tokens"])
def test_a_batch_of_mixed_sizes_equals_one_by_one(loud, images, tokens_per_batch, wording):
    model = vlm(loud, prompt=WORDINGS[wording], tokens_per_batch=tokens_per_batch)
    alone = np.concatenate([model.score([image]) for image in images])
    np.testing.assert_allclose(model.score(images), alone, atol=1e-4)


def test_a_batch_keeps_to_its_tokens_and_pads_nothing(loud, images, monkeypatch):
    model = vlm(loud, tokens_per_batch=24)
    seen = []
    forward = model.model.forward

    def listen(**inputs):
        seen.append(inputs["image_grid_thw"].tolist())
        return forward(**inputs)

    monkeypatch.setattr(model.model, "forward", listen)
    monkeypatch.setattr(model, "_tails", ([5], [6]))
    model.score(images)
    assert sum(len(grids) for grids in seen) == len(images)
    for grids in seen:
        assert all(grid == grids[0] for grid in grids)
        assert len(grids) == 1 or sum(h * w // 4 for _, h, w in grids) <= 24
    assert len(seen) < len(images), "images of one size go together"


def test_no_images_are_no_scores(loud):
    assert vlm(loud).score([]).shape == (0, 2)


def test_reasons_follow_the_verdict_that_was_asked_for(loud, images):
    model = vlm(loud)
    texts = {label: model.explain(images[0], label, max_new_tokens=8) for label in ("fake", "real")}
    assert texts["fake"] != texts["real"]
    assert not any("This image is" in text for text in texts.values())
    # The greedy answer is the likeliest next token again and again.
    prompt = Prompt()
    processor = load_processor(loud, min_pixels=4 * 784, max_pixels=16 * 784)
    content = [{"type": "image"}, {"type": "text", "text": prompt.question}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    inputs = processor(
        text=[chat + prompt.fake], images=[Image.fromarray(images[0])], return_tensors="pt"
    )
    with torch.no_grad():
        first = load_model(loud).eval()(**inputs).logits[0, -1].argmax()
    assert texts["fake"].startswith(processor.tokenizer.decode(first).strip())


def adapter_folder(base, path, *, size):
    """An adapter of the language model's attention, its changes `size` times a usual one."""
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=r".*language_model.*\.(q|k|v|o)_proj", task_type=None
    )
    model = get_peft_model(load_model(base), config)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=size)
    model.save_pretrained(path)
    return path


def test_an_adapter_is_merged_and_changes_the_score(loud, images, tmp_path):
    adapter = adapter_folder(loud, tmp_path / "adapter", size=0.3)
    beside = PeftModel.from_pretrained(load_model(loud), adapter).eval()
    expected = [
        the_long_way(beside, loud, Image.fromarray(image), Prompt()) for image in images[:2]
    ]
    model = vlm(loud, adapter=adapter)
    assert not any("lora" in name for name, _ in model.model.named_parameters())
    np.testing.assert_allclose(model.score(images[:2]), expected, atol=1e-4)
    assert np.abs(model.score(images) - vlm(loud).score(images)).max() > 0.1


def test_a_small_change_survives_sixteen_bits(loud, images, tmp_path):
    adapter = adapter_folder(loud, tmp_path / "adapter", size=1e-4)
    model = vlm(loud, adapter=adapter, dtype=torch.bfloat16)
    weight = model.model.get_base_model().model.language_model.layers[0].self_attn.q_proj
    change = weight.get_delta_weight("default")
    swallowed = weight.base_layer.weight + change.bfloat16() == weight.base_layer.weight
    assert swallowed.float().mean() > 0.9, "so merging would lose it"
    assert change.abs().max() > 0


def test_an_adapter_of_another_model_is_refused(loud, tmp_path):
    adapter = adapter_folder(loud, tmp_path / "adapter", size=0.1)
    weights = adapter / "adapter_model.safetensors"
    save_file({f"other.{k}": v for k, v in load_file(weights).items()}, weights)
    with pytest.raises(ModelError, match="another kind of model"):
        vlm(loud, adapter=adapter)


def test_missing_weights_are_not_made_up(tmp_path):
    folder = tiny_vlm_folder(tmp_path / "vlm")
    weights = load_file(folder / "model.safetensors")
    left_out = next(name for name in weights if "q_proj.weight" in name)
    del weights[left_out]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights"):
        vlm(folder)


def test_what_is_not_there_is_said(tmp_path, loud):
    with pytest.raises(ModelError, match="cannot load the tokenizer"):
        vlm(tmp_path)
    with pytest.raises(ModelError, match="unknown device 'tpu'"):
        Vlm(loud, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA"):
            Vlm(loud, device="cuda")
        with pytest.raises(ModelError, match="bitsandbytes"):
            vlm(loud, four_bit=True)


def test_verdicts_must_part(loud):
    with pytest.raises(ModelError, match="beginning of the other"):
        vlm(loud, prompt=Prompt(fake="This image is fake", real="This image is fake or not"))


def test_damaged_weights_are_said_to_be(tmp_path):
    folder = tiny_vlm_folder(tmp_path / "vlm")
    (folder / "model.safetensors").write_bytes(json.dumps({}).encode())
    with pytest.raises(ModelError, match="cannot load the model"):
        vlm(folder)
