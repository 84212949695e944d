"""Putting model folders where they belong, and taking them away again."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aligngemini.runtimes.folder import ModelError, shipped_models
from aligngemini.runtimes.store import installed_models, is_name, models_home


def installed_path(name: str) -> Path:
    """Where a model of this name is to be installed.

    Raises:
        ModelError: The name is taken, or is none a folder can have.
    """
    if name in shipped_models():
        raise ModelError(f"{name} is a model that ships; choose another name")
    if not is_name(name):
        raise ModelError(f"{name!r} is no name for a model: letters, digits and .-_ make one")
    if name in installed_models():
        raise ModelError(
            f"{name} is installed already; remove it first (aligngemini models remove {name}), "
            "or choose another name"
        )
    return models_home() / name


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes the place of `out` when the block ends well, and goes if it does not.

    Raises:
        ModelError: `out` is there and not empty, or cannot be written.
    """
    partial = out.with_name(f".{out.name}.partial")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ModelError(f"{out} is there already; name a folder that is new or empty")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise ModelError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_model(name: str) -> Path:
    """Delete an installed model; returns where it was.

    Raises:
        ModelError: No such model is installed, or it ships with the package.
    """
    if name in shipped_models():
        raise ModelError(f"{name} ships with aligngemini and cannot be removed")
    path = installed_models().get(name)
    if path is None:
        installed = ", ".join(installed_models()) or "none"
        raise ModelError(f"no model named {name} is installed; installed: {installed}")
    gone = path.with_name(f".{name}.removed")
    try:
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)  # at once: half a folder would look damaged
        shutil.rmtree(gone)
    except OSError as error:
        raise ModelError(f"cannot remove {path}: {error.strerror or error}") from error
    return path
