"""Where installed models live: one folder each, by the name users give."""

import os
import re
from pathlib import Path

import platformdirs

HOME = "ALIGNGEMINI_HOME"
"""Environment variable: a folder to keep installed models in, instead of the user's data folder."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SEALED = "hashes.json"  # written last: a folder without it is not finished


def models_home() -> Path:
    """The folder of all installed models, there or not."""
    home = os.environ.get(HOME)
    base = Path(home) if home else platformdirs.user_data_path("aligngemini", appauthor=False)
    return base.expanduser().absolute() / "models"


def installed_models() -> dict[str, Path]:
    """Folders of the installed models, by name, in alphabetical order."""
    try:
        folders = sorted(models_home().iterdir())
    except OSError:  # not there, or not ours to read
        return {}
    return {
        folder.name: folder
        for folder in folders
        if is_name(folder.name) and (folder / _SEALED).is_file()
    }


def is_name(text: str) -> bool:
    """Whether a model may be installed by this name."""
    return _NAME.fullmatch(text) is not None
