"""What a scan and its store tell people of themselves."""

from collections.abc import Mapping

from aligngemini.report import words
from aligngemini.scan.tally import STAGES, Outcome, Tally


def headline(tally: Tally) -> str:
    """What became of the inputs, in one line."""
    parts: dict[Outcome, str] = {
        "judged": "judged",
        "copies": "copies of images judged already",
        "near": "near-duplicates of them",
        "before": "in the store before",
        "unread": "could not be read",
    }
    shown = [f"{tally.outcomes[k]:,} {text}" for k, text in parts.items() if tally.outcomes[k]]
    inputs = "1 input" if tally.total == 1 else f"{tally.total:,} inputs"
    return f"{inputs}: {', '.join(shown)}." if shown else f"{inputs}."


def remarks(tally: Tally, not_images: int) -> list[str]:
    """What is worth knowing beside it, a sentence or two a line.

    Args:
        tally: Of the run.
        not_images: Files that were left out because they are no images.
    """
    lines = []
    judged = [f"{count:,} {text}" for count, text in counted_verdicts(tally.verdicts)]
    if judged:
        lines.append(f"Of those judged now: {', '.join(judged)}.")
    if tally.errors:
        codes = ", ".join(f"{code} {count:,}" for code, count in tally.errors.most_common())
        lines.append(f"No verdict, by reason: {codes}.")
    if tally.taken:
        lines.append(f"{tally.taken:,} inputs were in the hands of another run.")
    if not_images:
        files = "1 file was" if not_images == 1 else f"{not_images:,} files were"
        lines.append(f"{files} left out: not images.")
    if tally.outcomes["judged"]:
        lines.append(_speed(tally))
    return lines


def counted_verdicts(verdicts: Mapping[str, int]) -> list[tuple[int, str]]:
    """How many images there are of each verdict, and its words; without those that nobody has.

    Args:
        verdicts: By label; `none` could not be judged, `elsewhere` was by other detectors only.
    """
    texts: dict[str, str] = {
        **{label: text for label, text in words.KIND_WORDS.items() if label != "unjudged"},
        "none": words.KIND_WORDS["unjudged"],
        "elsewhere": "judged by other detectors only",
    }
    return [(verdicts[label], text) for label, text in texts.items() if verdicts.get(label)]


def _speed(tally: Tally) -> str:
    stages = (f"{stage} {tally.seconds[stage]:.1f}" for stage in STAGES)
    loads = [
        f"{name} {words.share(tally.load(seconds))}" for name, seconds in tally.branches.items()
    ]
    by_branch = f"; share of their time by branch: {', '.join(loads)}" if loads else ""
    return (
        f"{tally.rate:,.1f} a second for {tally.elapsed:,.1f} s, {tally.bytes / 1e6:,.1f} MB read. "
        f"Seconds of all workers by stage: {', '.join(stages)}{by_branch}."
    )
