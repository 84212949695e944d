"""Brace expansion: `shard-{000..012}.tar` and `{train,test}/*.jpg`."""

import itertools
import re
from collections.abc import Iterator

_BRACES = re.compile(r"\{(\d+\.\.\d+|[^{},]*(?:,[^{},]*)+)\}")


def expand_braces(text: str) -> Iterator[str]:
    """All texts that a pattern stands for, in order, one at a time.

    Numbers keep the width of the first one; `{b..a}` counts down. Braces that hold neither two
    numbers nor a comma, and braces within braces, stay as they are.
    """
    literals, choices = [], []
    end = 0
    for found in _BRACES.finditer(text):
        literals.append(text[end : found.start()])
        choices.append(found[1])
        end = found.end()
    for chosen in _product([_Choices(choice) for choice in choices]):
        pieces = zip(literals, chosen, strict=True)
        yield "".join(itertools.chain.from_iterable(pieces)) + text[end:]


class _Choices:
    """What one pair of braces stands for; may be walked again and again."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[str]:
        first, dots, last = self._text.partition("..")
        if not dots or "," in self._text:
            yield from self._text.split(",")
            return
        start, stop = int(first), int(last)
        step = 1 if stop >= start else -1
        for number in range(start, stop + step, step):
            yield str(number).zfill(len(first))


def _product(choices: list[_Choices]) -> Iterator[tuple[str, ...]]:
    """As `itertools.product`, which would first take all of each into memory."""
    if not choices:
        yield ()
        return
    for head in choices[0]:
        for tail in _product(choices[1:]):
            yield (head, *tail)
