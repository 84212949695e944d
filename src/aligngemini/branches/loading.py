"""A pixel expert by what the user calls it."""

from pathlib import Path

from aligngemini.branches.base import Branch
from aligngemini.branches.pixel import PixelBranch


def load_pixel(
    spec: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    name: str = "pixel",
) -> Branch:
    """Load a pixel expert.

    Args:
        spec: Name of a model that ships or is installed, or a model folder.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads of one forward pass; None leaves it to the runtime.
        name: Of the branch in records.

    Raises:
        ModelError: It is not there, or cannot be used.
    """
    return PixelBranch.load(spec, device=device, threads=threads, name=name)
