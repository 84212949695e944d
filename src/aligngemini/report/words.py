"""What we say to people. Labels are for machines; these words promise no more than we know."""

import unicodedata
from typing import Literal, get_args

from aligngemini.evidence import Area, Evidence, Signal, Stability, branch_kind
from aligngemini.verdict import Guarantee, Verdict

Kind = Literal["fake", "undecided", "real", "unjudged"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SHORT_WORDS: dict[Kind, str] = {
    "fake": "signs found",
    "undecided": "undecided",
    "real": "no sign found",
    "unjudged": "no verdict",
}

KIND_WORDS: dict[Kind, str] = {
    "fake": "signs of AI generation",
    "undecided": "undecided",
    "real": "no sign of AI generation found",
    "unjudged": "could not be judged",
}

EDITED_WORDS = "signs that a part was changed"
"""In place of `signs of AI generation` where that is all that was found: no generator need have
had a part in it."""

LAYER_TITLES = {"heatmap": "Heatmap", "generated": "Generated", "moved": "Moved or foreign"}
MAP_WORDS = {"generated": "generated", "moved": "moved or foreign"}
ALMOST_ALL = 0.9  # share of the picture

STATE_WORDS = {
    "signed-trusted": "signed and trusted",
    "signed-untrusted": "signed, signer not trusted",
    "invalid": "signed, but the signature does not hold",
    "hint": "unsigned hint, anyone can write it",
    "unreadable": "there, but could not be read",
}

CLAIM_WORDS = {
    "ai": "made with AI",
    "camera": "taken with a camera",
    "edited": "edited",
}

DISAGREEMENT = "the branches disagree: one found signs, another none"

BRANCH_TITLES = {
    "pixel": "Pixels",
    "semantic": "Content",
    "gamma": "GAMMA",
    "provenance": "Provenance",
}

BRANCH_QUESTIONS = {
    "pixel": "Do the pixels look as if a generator's decoder had made them?",
    "semantic": "Is what the picture shows possible?",
    "gamma": "Was the picture, or a part of it, generated or changed, and where?",
    "provenance": "What does the file say of its own origin?",
}

SOURCE_TITLES = {
    "c2pa": "C2PA",
    "iptc": "IPTC",
    "xmp": "XMP",
    "exif": "EXIF",
    "text": "PNG text",
    "comment": "comment",
    "file": "file structure",
    "stable-diffusion": "Stable Diffusion parameters",
    "comfyui": "ComfyUI workflow",
    "midjourney": "Midjourney",
    "swarmui": "SwarmUI",
    "invokeai": "InvokeAI",
    "fooocus": "Fooocus",
    "aigc-label": "AIGC label",
}

# Invisible, but real scripts and emoji need them.
JOINERS = "\u200c\u200d"


def branch_titles(verdict: Verdict) -> dict[str, str]:
    """Titles of an image's branches by name; several experts are told apart by their models."""
    kinds = [branch_kind(name) for name in verdict.branches]
    titles = {}
    for name, evidence in verdict.branches.items():
        title = BRANCH_TITLES.get(branch_kind(name), name)
        several = kinds.count(branch_kind(name)) > 1
        model = (evidence.model or name).split("@")[0]
        titles[name] = f"{title}: {model}" if several else title
    return titles


def share(rate: float) -> str:
    """A rate in [0, 1] as per cent, two digits."""
    return f"{100 * rate:.0f} %" if rate >= 0.1 else f"{100 * rate:.2g} %"


def kind_of(verdict: Verdict) -> Kind:
    """Which of the four groups an image belongs to."""
    return verdict.verdict or "unjudged"


def edited(verdict: Verdict) -> bool:
    """Whether all that was found is that a part was changed."""
    found = [one for one in verdict.branches.values() if one.verdict == "fake"]
    return verdict.verdict == "fake" and {one.detail for one in found} == {"edited"}


def branch_question(name: str) -> str | None:
    """What a branch asks of an image, or None for one we do not know."""
    return BRANCH_QUESTIONS.get(branch_kind(name))


def verdict_words(verdict: Verdict) -> str:
    """The verdict as a sentence fragment, with the reason when there is none."""
    words = EDITED_WORDS if edited(verdict) else KIND_WORDS[kind_of(verdict)]
    if verdict.verdict is not None:
        return words
    if verdict.error is not None:
        return f"{words}: {verdict.error.message}"
    return f"{words}: no branch gave a verdict"


def evidence_words(evidence: Evidence) -> str:
    """One branch's answer in a few words."""
    if evidence.skipped is not None:
        return "not run"
    if evidence.error is not None and not _answered(evidence):
        return "gave no answer"
    if evidence.signals is not None:
        said = "; ".join(dict.fromkeys(signal_words(signal) for signal in evidence.signals))
        return said or "nothing found in the file"
    label = SHORT_WORDS[evidence.verdict or "unjudged"]
    if evidence.detail == "edited":
        label = "a part looks changed"
    if evidence.score is None:
        return label
    return f"{label}, {number(evidence.score, evidence.threshold, evidence.threshold_real)}"


def why_words(evidence: Evidence) -> str:
    """One branch's answer with its reason: where the score lies, or why there is none."""
    said = evidence_words(evidence) + _where(evidence)
    if evidence.remark is not None:
        said = f"{said}; {evidence.remark}"
    if evidence.skipped is not None:
        return f"{said}: {evidence.skipped}"
    if evidence.error is None:
        return said
    part = "; failed in part" if _answered(evidence) else ""
    return f"{said}{part}: {evidence.error.message}"


def stability_words(stability: Stability, *beside: float | None) -> str:
    """How far a verdict holds under mild changes.

    Args:
        stability: Of the image or of one of its branches.
        beside: Thresholds that its scores are read against.
    """
    if not stability.of:
        return "none of the mild changes could be judged"
    changes = "1 mild change" if stability.of == 1 else f"{stability.of} mild changes"
    turns = "turn" if stability.flips > 1 else "turns"
    said = f"{stability.flips or 'none'} of {changes} {turns} the verdict"
    if stability.low is None or stability.high is None:
        return said
    low, high = (number(score, *beside) for score in (stability.low, stability.high))
    return f"{said}; scores from {low} to {high}"


def area_words(evidence: Evidence) -> list[str]:
    """What the maps mark, one line a map and one where not all was looked at.

    Nothing unless the branch says `fake`: photos show marks too, and beside any other verdict they
    would read as an accusation. Records and maps have them all.
    """
    if evidence.areas is None or evidence.verdict != "fake" or evidence.remark is not None:
        return []
    lines = [_area(name, area) for name, area in evidence.areas.items() if area.boxes]
    if not lines:
        lines = ["no part of the picture stands out on the maps"]
    if evidence.coverage is not None:
        lines.append(f"only {share(evidence.coverage)} of the picture was looked at")
    return lines


def guarantee_words(guarantee: Guarantee) -> str:
    """What a calibration promises, and of what."""
    sure, most = (
        f"{100 * rate:.3g} %" for rate in (guarantee.confidence, guarantee.max_false_alarms)
    )
    made = f", {guarantee.made}" if guarantee.made else ""
    return (
        f"with {sure} confidence at most {most} of photos like those calibrated on show signs at "
        f"this setting ({guarantee.fitted_on or f'{guarantee.photos} photos'}{made})"
    )


def signal_words(signal: Signal) -> str:
    """What a finding says and, always beside it, how far it can be believed."""
    source = SOURCE_TITLES.get(signal.kind, signal.kind)
    state = STATE_WORDS[signal.state]
    if signal.claim is None:
        return f"{source}: {state}"
    return f"{source}: {CLAIM_WORDS[signal.claim]} ({state})"


def number(value: float, *beside: float | None) -> str:
    """A score in [0, 1] with two decimals, or as many as keep it on its side of its neighbours.

    0.8996 beside a threshold of 0.9 must not read "0.90", nor 0.9997 read "1.00".

    Args:
        value: The number to write.
        beside: Numbers it will be compared with; None is ignored.
    """
    others = [0.0, 1.0, *(other for other in beside if other is not None)]
    for digits in range(2, 6):
        shown = round(value, digits)
        if all(_order(shown, round(other, digits)) == _order(value, other) for other in others):
            return f"{value:.{digits}f}"
    return f"{value:.6f}"


def printable(text: str) -> str:
    r"""Text from a file, safe to put on a page or a terminal.

    Control characters, invisible formatting (right-to-left overrides among them) and bytes that
    were no text become escapes such as `\u202e`, so that they are seen and do nothing.
    """
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _area(name: str, area: Area) -> str:
    looks = MAP_WORDS.get(name, name)
    if area.share >= ALMOST_ALL:
        return f"almost all of the picture looks {looks} ({share(area.share)})"
    left, top, right, bottom = area.boxes[0]
    place = f"from pixel {left}, {top} to {right}, {bottom}"
    others = len(area.boxes) - 1
    if others:
        place = f"{place}, the largest, and in {others} more place{'s' if others > 1 else ''}"
    return f"part of the picture looks {looks} ({share(area.share)} of it: {place})"


def _visible(character: str) -> str:
    if character in JOINERS or unicodedata.category(character) not in {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _order(left: float, right: float) -> int:
    return (left > right) - (left < right)


def _answered(evidence: Evidence) -> bool:
    """Whether something was said; a branch that failed half-way may still have found something."""
    return evidence.verdict is not None or bool(evidence.signals)


def _where(evidence: Evidence) -> str:
    """Where the score lies between the thresholds, as the end of a sentence."""
    score, high, low = evidence.score, evidence.threshold, evidence.threshold_real
    if score is None or high is None:
        return ""
    if score >= high:
        return f", at or above {number(high, score)}"
    if low is None:
        return f", below {number(high, score)}"
    if score < low:
        return f", below {number(low, score)}"
    return f", between {number(low, score)} and {number(high, score)}"
