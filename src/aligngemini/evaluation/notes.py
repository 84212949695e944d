"""What a reader must know of an evaluation beside its figures."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from aligngemini.evaluation.scores import SHARED, ScoreRow


def notes_on(rows: Sequence[ScoreRow], holes: Mapping[str, int]) -> list[str]:
    """Sentences on scores: shared photos, copies, failures, holes.

    Args:
        rows: Scores, of any number of protocols and branches.
        holes: How many images each subset lacks.
    """
    images = {(row.path, row.label): row for row in rows}.values()
    return [
        *_shared_photos(images),
        *_copies(images),
        *_without_score(rows),
        *_missing(holes),
    ]


def _shared_photos(images: Collection[ScoreRow]) -> list[str]:
    shared = [row for row in images if row.subset == SHARED]
    if not shared or all(row.subset == SHARED for row in images):
        return []
    sources = ", ".join(sorted({row.source for row in shared if row.source})) or "no source named"
    return [f"Every subset is compared with the same {len(shared)} photos ({sources})."]


def _copies(images: Collection[ScoreRow]) -> list[str]:
    copies = Counter(row.sha256 for row in images if row.sha256)
    labels: dict[str, set[str]] = {}
    for row in images:
        labels.setdefault(row.sha256, set()).add(row.label)
    both = sum(len(found) > 1 for digest, found in labels.items() if digest)
    extra = copies.total() - len(copies)
    notes = []
    if extra:
        notes.append(f"Files with the bytes of another: {extra}; each counts where it stands.")
    if both:
        notes.append(f"Images that are in both classes: {both}; no detector can be right on both.")
    return notes


def _without_score(rows: Sequence[ScoreRow]) -> list[str]:
    failed = Counter(
        code
        for _, code in {(row.path, row.error) for row in rows if row.error and row.verdict is None}
    )
    only_verdict = len({row.path for row in rows if row.score is None and row.verdict is not None})
    notes = []
    if failed:
        parts = ", ".join(f"{code} {count}" for code, count in sorted(failed.items()))
        notes.append(f"Images that a branch could not judge, and its figures leave out: {parts}.")
    if only_verdict:
        notes.append(
            f"Images to which a branch gave a verdict and no score: {only_verdict}; they count in "
            "figures at the shipped thresholds only."
        )
    return notes


def _missing(holes: Mapping[str, int]) -> list[str]:
    if not any(holes.values()):
        return []
    names = {SHARED: "shared photos"}
    parts = ", ".join(f"{names.get(name, name)} {count}" for name, count in holes.items() if count)
    return [f"Images of the benchmark that are not there: {parts}."]
