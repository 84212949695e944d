"""The models inside the package, opened as what they are."""

from aligngemini.branches.base import Branch
from aligngemini.branches.loading import load_folder
from aligngemini.runtimes.folder import shipped_models


def shipped_branches(device: str = "auto") -> dict[str, Branch]:
    """Every model that ships, as a branch, by the name users give.

    Raises:
        ModelError: A folder is damaged, or the device is not there.
    """
    return {name: load_folder(name, device=device) for name in shipped_models()}
