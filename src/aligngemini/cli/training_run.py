"""What all training commands share: their log, their errors, their last line."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, redirect_stdout
from pathlib import Path
from typing import Any

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.progress import progress


def run_training(
    train: Callable[[], str | None],
    out: Path,
    *,
    command: str,
    mistakes: tuple[type[Exception], ...],
    lighter: str,
) -> int:
    """Train and say what came of it; gives the exit code.

    Args:
        train: Trains and writes the model folder; gives its fingerprint, or None in a process that
            writes nothing.
        out: The model folder.
        command: How errors begin.
        mistakes: What the user can get wrong; their messages say what to do.
        lighter: What to give where the GPU's memory is full.
    """
    import torch
    from safetensors import SafetensorError

    try:
        with redirect_stdout(sys.stderr):  # the Trainer's log; results alone go to standard output
            fingerprint = train()
    except mistakes as error:
        return failed(command, str(error))
    except torch.OutOfMemoryError:
        return failed(command, f"the GPU's memory is full; {lighter}")
    except (OSError, SafetensorError) as error:
        problem = f"cannot read or write: {error}; the same command goes on where it was"
        return failed(command, problem)
    if fingerprint is not None:
        print(f"{out}: {fingerprint}; the measured figures are in {out / 'card.md'}")
        for line in diagnosis_lines(out):
            print(f"  {line}", file=sys.stderr)
    return 0


def work_folder(given: Any) -> Path:
    """Where checkpoints and logs go: --work, or a folder beside --out."""
    work: Path = given.work or given.out.with_name(given.out.name + "-work")
    return work


def checking(total: int) -> AbstractContextManager[Callable[[], None]]:
    """The bar of the checks at the end of a run."""
    return progress(total, text="Looking for failure signatures")


def diagnosis_lines(out: Path) -> list[str]:
    """What the checks at the end of a run found, a line each."""
    from aligngemini.training.findings import read_diagnosis

    diagnosis = read_diagnosis(out)
    return [] if diagnosis is None else diagnosis.lines()


def not_installed(command: str, error: ImportError) -> int:
    """Say which package training lacks; gives the exit code."""
    return failed(
        command,
        f"{error.name} is not installed; "
        'pip install "aligngemini[train]" brings what training needs',
    )


def failed(command: str, message: str) -> int:
    """Say what is wrong; gives the exit code."""
    print(f"{command}: {message}", file=sys.stderr)
    return WRONG_USE
