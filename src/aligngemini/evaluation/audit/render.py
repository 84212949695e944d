"""An audit for people, as Markdown (terminals read it well) and as a page; for programs as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict

from aligngemini import __version__
from aligngemini.evaluation.audit.properties import NAME
from aligngemini.evaluation.audit.result import LEAKS_FROM, Audit, Distribution, State
from aligngemini.evaluation.audit.tree import FOLDS, Told
from aligngemini.evaluation.blocks import Block, Grid, Points, counted, markdown
from aligngemini.evaluation.pages import page

MOST_SHARES = 4  # values of one property that a cell names
MOST_FILES = 20
TONES: dict[State, str] = {"solved": "alarm", "leaks": "alarm", "clear": "good", "unknown": "plain"}

_ADVICE = {
    "size": "Re-encoding leaves sizes as they are. Compare photos and fakes of like sizes, or "
    "crop both classes alike, before believing a figure on this set.",
    "stored": "Judge both classes after one re-encoding too (the protocol all-alike). It takes "
    "away format, colour mode and metadata; traces of an earlier compression stay in the pixels.",
    "name": "File names tell the classes apart as well. No detector reads them, but a split or a "
    "join by name would.",
}


def to_json(audit: Audit) -> str:
    """The audit whole, as JSON."""
    record = {
        "line": audit.line(),
        "state": audit.state,
        **asdict(audit),
        "version": __version__,
    }
    return json.dumps(record, indent=2) + "\n"


def to_markdown(audit: Audit, name: str) -> str:
    """The audit as Markdown, which reads well in a terminal.

    Args:
        audit: To be shown.
        name: Of the set.
    """
    return markdown(f"Audit of {name}", audit.line(), blocks(audit))


def to_html(audit: Audit, name: str) -> str:
    """The audit as a self-contained page.

    Args:
        audit: To be shown.
        name: Of the set.
    """
    return page(f"Audit of {name}", audit.line(), blocks(audit), tone=TONES[audit.state])


def blocks(audit: Audit) -> list[Block]:
    """What there is to say, in order of weight; nothing empty."""
    made: list[Block] = [Points("What was looked at", _looked_at(audit))]
    if advice := _advice(audit):
        made.append(Points("What to do", advice))
    if audit.tree is not None:
        made += _told(audit, audit.tree)
    if audit.distributions:
        made.append(_distributions(audit))
    if audit.unreadable:
        made.append(_unreadable(audit))
    return made


def _looked_at(audit: Audit) -> tuple[str, ...]:
    photos, fakes = counted(audit.photos, "photo"), counted(audit.fakes, "fake")
    said = [f"Headers of {photos} and {fakes}; no pixel was decoded."]
    listed = audit.photos_listed + audit.fakes_listed
    if audit.photos + audit.fakes + len(audit.unreadable) < listed:
        photos, fakes = counted(audit.photos_listed, "photo"), counted(audit.fakes_listed, "fake")
        said.append(f"A random sample: the set has {photos} and {fakes}.")
    if audit.unreadable:
        files = counted(len(audit.unreadable), "file")
        said.append(f"{files} could not be read; the last table names them.")
    return tuple(said)


def _advice(audit: Audit) -> tuple[str, ...]:
    telling = {told.by for told in audit.groups if told.accuracy >= max(LEAKS_FROM, told.high)}
    found = []
    if "size" in telling:
        found.append(_ADVICE["size"])
    if telling - {"size", NAME}:
        found.append(_ADVICE["stored"])
    if NAME in telling:
        found.append(_ADVICE["name"])
    return tuple(found)


def _told(audit: Audit, tree: Told) -> list[Block]:
    how = (
        f"A decision tree of three questions, cross-validated in {FOLDS} folds, both classes of "
        "equal weight. Chance: where guessing lies in 95 of 100 sets of this size."
    )
    apart = f" Everything: all but the {NAME}, which no detector sees."
    made: list[Block] = [
        _accuracies("What tells photos from fakes", (tree, *audit.groups), how + apart),
        Grid(
            "The tree in words",
            ("says", "where", "photos", "fakes"),
            tuple(
                (
                    rule.label,
                    ", ".join(rule.conditions) or "always",
                    str(rule.photos),
                    str(rule.fakes),
                )
                for rule in audit.rules
            ),
            "Grown on all images; a column counts those that the conditions hold for.",
            left=2,
        ),
        _accuracies("Each property alone", audit.properties, how),
    ]
    if audit.subsets:
        note = "Everything but the file name, within each subset and the photos it shares."
        made.append(_accuracies("Subset by subset", audit.subsets, note))
    return made


def _accuracies(title: str, told: tuple[Told, ...], note: str) -> Grid:
    return Grid(
        title,
        ("by", "balanced accuracy", "photos right", "fakes right", "chance"),
        tuple(
            (
                one.by,
                f"{one.accuracy:.2f}",
                f"{one.photos:.2f}",
                f"{one.fakes:.2f}",
                f"{one.low:.2f} to {one.high:.2f}",
            )
            for one in told
        ),
        note,
    )


def _distributions(audit: Audit) -> Grid:
    return Grid(
        "How each property is spread",
        ("property", "photos", "fakes"),
        tuple((one.property, *_cells(one)) for one in audit.distributions),
        "Numbers: the median, and between what 5 % and 95 % of the images lie.",
        left=3,
    )


def _cells(one: Distribution) -> tuple[str, str]:
    return _cell(one, one.real), _cell(one, one.fake)


def _cell(one: Distribution, values: Mapping[str, float]) -> str:
    if not values:
        return "none"
    if one.kind == "quantiles":
        low, middle, high = map(_number, values.values())
        return middle if low == high else f"{middle} ({low} to {high})"
    if one.kind == "flags":
        return _percent(values["yes"])
    shown = [f"{value} {_percent(share)}" for value, share in list(values.items())[:MOST_SHARES]]
    others = len(values) - MOST_SHARES
    return ", ".join([*shown, f"{others} more"] if others > 0 else shown)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def _unreadable(audit: Audit) -> Grid:
    others = len(audit.unreadable) - MOST_FILES
    return Grid(
        "Files that could not be read",
        ("file", "label", "why"),
        tuple((one.path, one.label, one.message) for one in audit.unreadable[:MOST_FILES]),
        f"And {others} more; the JSON report lists all." if others > 0 else "",
        left=3,
    )
