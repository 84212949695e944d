"""From what a language model wrote to what may be shown beside a verdict."""

import re

LONGEST = 600  # characters

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")


def explanation(text: str, contrary: str) -> str | None:
    """Whole sentences of an answer, or None where there are none that support the verdict.

    Args:
        text: The model's answer behind its verdict; may break off in mid-sentence.
        contrary: The sentence of the other verdict. An answer that comes round to it is no reason
            for this one.
    """
    text = " ".join(text.split())
    if contrary.casefold() in text.casefold():
        return None
    ends = [found.end() for found in _SENTENCE_END.finditer(text[:LONGEST])]
    if ends:
        return text[: ends[-1]]
    cut = text[:LONGEST].rpartition(" ")[0] if len(text) > LONGEST else text
    return f"{cut} ..." if cut else None
