"""Silence for Pillow while it reads a file that somebody else wrote."""

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import _imaging

_lock = threading.Lock()
_inside = 0
_saved = warnings.catch_warnings()

# Pillow logs some refusals as errors. With no handler anywhere, logging prints them by itself.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of Pillow's plugins off standard error.

    Nothing is lost: what they warn of is either an error here (limits are checked from the header)
    or a note on the image. `warnings.catch_warnings` is not made for threads, so of all threads
    inside, only the first changes the filters and only the last puts them back.
    """
    global _inside, _saved  # noqa: PLW0603 - the filters are global, so is the count
    with _lock:
        if _inside == 0:
            _saved = warnings.catch_warnings()
            _saved.__enter__()
            warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _saved.__exit__(None, None, None)


@cache
def silence_libtiff() -> None:
    """Take from libtiff the handler that prints every broken strip to standard error.

    Pillow reports the same failures as exceptions. Where the library is linked so that it cannot be
    reached, its lines stay.
    """
    with suppress(AttributeError, OSError):
        set_handler = ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler
        set_handler.argtypes = [ctypes.c_void_p]
        set_handler.restype = ctypes.c_void_p
        set_handler(None)
