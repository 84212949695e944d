"""Loading a vision-language model: device, precision, adapter, and refusing half a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers.utils import logging

from aligngemini.models.qwen import load_model
from aligngemini.runtimes.folder import ModelError

UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError)
"""What `transformers`, `peft` and `safetensors` raise on files that are not what they say."""


def pick_device(device: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: It is unknown or not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ModelError(f"unknown device {device!r}; known: auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("this PyTorch has no CUDA; use --device cpu, or install one that has")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def load_weights(
    base: str | Path,
    adapter: str | Path | None,
    *,
    device: str,
    dtype: torch.dtype | None = None,
    four_bit: bool = False,
) -> Any:
    """A base model and its adapter, ready to run.

    Args:
        base: Folder of the base model.
        adapter: Folder of a PEFT adapter, or None.
        device: `cpu` or `cuda`.
        dtype: Of weights and computation; None is float32 on a CPU and bfloat16 on a GPU.
        four_bit: Whether to hold the base model in four bits (bitsandbytes, NF4).

    Raises:
        ModelError: They cannot be loaded, or not all of their weights are there.
    """
    if dtype is None:
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
    with _without_bars():
        model = _load(base, device, dtype, four_bit=four_bit)
        if adapter is not None:
            # In 16 bits a weight swallows a change below half its last digit, and those of DPO are
            # as small: there, and in four bits, the adapter stays beside the weights.
            merge = dtype == torch.float32 and not four_bit
            model = _with_adapter(model, Path(adapter), merge=merge)
    return model.eval()


@contextmanager
def _without_bars() -> Iterator[None]:
    """No progress bars of `transformers`: they would run through those of the worker's caller."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load(base: str | Path, device: str, dtype: torch.dtype, *, four_bit: bool) -> Any:
    settings = {"quantization_config": _four_bit(device)} if four_bit else {}
    try:
        model, loaded = load_model(
            base,
            dtype=dtype,
            output_loading_info=True,
            device_map={"": device},
            **settings,
        )
    except UNREADABLE as error:
        raise ModelError(f"cannot load the model in {base}: {error}") from error
    if missing := sorted(loaded["missing_keys"]):
        # They would be random, and every verdict with them.
        raise ModelError(f"{base} lacks {len(missing)} weights, {missing[0]} among them")
    return model


def _four_bit(device: str) -> Any:
    if find_spec("bitsandbytes") is None or device != "cuda":
        raise ModelError(
            "weights in four bits need an NVIDIA GPU and bitsandbytes: pip install bitsandbytes"
        )
    from transformers import BitsAndBytesConfig  # noqa: PLC0415 - needs bitsandbytes

    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )


def _with_adapter(model: Any, folder: Path, *, merge: bool) -> Any:
    try:
        adapted = PeftModel.from_pretrained(model, folder)
        with safe_open(folder / "adapter_model.safetensors", framework="pt") as file:
            saved = set(file.keys())
    except UNREADABLE as error:
        raise ModelError(f"cannot load the adapter in {folder}: {error}") from error
    if saved != set(get_peft_model_state_dict(adapted)):
        # PEFT only warns, and the base model would answer alone.
        raise ModelError(f"the adapter in {folder} is of another kind of model than its base")
    return adapted.merge_and_unload() if merge else adapted
