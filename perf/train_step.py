"""Time and peak memory of training steps of a full-size pixel expert, on the GPU if there is one.

    python perf/train_step.py [--layers 24] [--pairs 2] [--steps 5] [--checkpointing]

DINOv2 ViT-L/14 at 336 px with LoRA of rank 8, random weights: speed and memory are those of trained
ones. Six images a pair, losses and optimiser as `aligngemini train` has them, images already in
memory. Memory on a GPU is what PyTorch allocated at the peak, on a CPU the process's resident set.
The first step is left out of the time.
"""

import argparse
import resource
import time
from dataclasses import replace

import torch

from aligngemini.training.expert import adapt, checkpoint_activations, new_expert
from aligngemini.training.expert_recipe import ExpertRecipe
from aligngemini.training.expert_trainer import ExpertInTraining
from aligngemini.training.recipe import load_recipe

IMAGES_A_PAIR = 6
VIT_L = {"hidden_size": 1024, "num_attention_heads": 16, "image_size": 518, "patch_size": 14}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--checkpointing", action="store_true")
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    recipe = full_size(given.layers)
    expert = new_expert(recipe)
    adapt(expert, recipe)
    if given.checkpointing:
        checkpoint_activations(expert)
    model = ExpertInTraining(expert, recipe).to(device).train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, recipe.learning_rate, weight_decay=0.0)
    count = IMAGES_A_PAIR * given.pairs
    pixels = torch.randint(0, 256, (count, 336, 336, 3), dtype=torch.uint8, device=device)
    labels = torch.arange(count, device=device).remainder(2).float()
    times = [step(model, optimizer, pixels, labels) for _ in range(given.steps + 1)]
    total = sum(weight.numel() for weight in model.parameters())
    seconds = min(times[1:]) if given.steps else times[0]
    print(f"{device}, {given.layers} layers, {total / 1e6:.0f} M weights, ", end="")
    print(f"{sum(weight.numel() for weight in trained) / 1e6:.2f} M trained, {count} images a step")
    print(f"{seconds:.3f} s a step (best of {max(1, given.steps)}), {count / seconds:.2f} images/s")
    print(f"peak {peak_bytes(device) / 2**30:.2f} GiB")


def full_size(layers: int) -> ExpertRecipe:
    config = {"model_type": "dinov2", "num_hidden_layers": layers, **VIT_L}
    shipped = load_recipe("dda")
    assert isinstance(shipped, ExpertRecipe)
    return replace(shipped, backbone=None, backbone_config=config)


def step(
    model: ExpertInTraining,
    optimizer: torch.optim.Optimizer,
    pixels: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    start = time.perf_counter()
    half = pixels.is_cuda and torch.cuda.is_bf16_supported()
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=half):
        loss = model(pixels, labels)["loss"]
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if pixels.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak_bytes(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux


if __name__ == "__main__":
    main()
