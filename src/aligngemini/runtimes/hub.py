"""Asking the Hugging Face Hub: what it cannot give is one sentence.

What `huggingface_hub` says of proxies, tokens, mirrors and its offline mode holds here.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from aligngemini.runtimes.folder import ModelError

T = TypeVar("T")

_REASON = 200  # characters of somebody else's error message


def need(*packages: str) -> None:
    """Make sure that packages are there which a plain installation lacks.

    Raises:
        ModelError: One is not.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ModelError(
            f"this needs {missing[0]}, which is not installed: aligngemini[vlm] has it"
        )


def ask_hub(call: Callable[[], T], repo: str, otherwise: str) -> T:
    """The answer of a call to `huggingface_hub`.

    Args:
        call: The call.
        repo: The repository it is about.
        otherwise: What to do where the Hub cannot be reached.

    Raises:
        ModelError: There is no answer.
    """
    from huggingface_hub import errors  # noqa: PLC0415 - a plain installation lacks it

    try:
        with _bars_for_people():
            return call()
    except errors.RepositoryNotFoundError as error:  # also of a gated one
        raise ModelError(
            f"the Hub has no {repo}, or not for you; a private or gated one needs a login: "
            "hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{repo} has no such revision on the Hub") from error
    except errors.HFValidationError as error:
        raise ModelError(f"{repo!r} is no name of a repository: OWNER/NAME") from error
    except Exception as error:  # its versions let the errors of several HTTP libraries through
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"cannot reach {repo} on the Hub; {otherwise} ({_shortened(reason)})"
        ) from error


@contextmanager
def _bars_for_people() -> Iterator[None]:
    """No progress bars where nobody sees them move."""
    import huggingface_hub  # noqa: PLC0415 - as above

    utils: Any = huggingface_hub.utils  # whose functions are not declared as its own
    if sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _shortened(reason: str) -> str:
    return reason if len(reason) <= _REASON else f"{reason[:_REASON]}..."
