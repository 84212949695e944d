"""Say in one sentence why this Python cannot make the virtual environment, or nothing.

Runs on every Python 3, or it could not tell an old one what is wrong.
"""

import sys
from importlib.util import find_spec


def problem() -> str:
    """What is wrong, for people; empty where nothing is."""
    if sys.version_info < (3, 10):  # noqa: UP036 - the package needs it, this file does not
        return (
            "aligngemini needs Python 3.10 or newer, and {} is {}.{}. "
            "Name another one: make demo PYTHON=python3.12"
        ).format(sys.executable, *sys.version_info)
    if not (find_spec("venv") and find_spec("ensurepip")):
        return "This Python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv"
    return ""


if __name__ == "__main__":
    sys.exit(problem() or 0)
