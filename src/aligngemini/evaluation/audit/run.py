"""The audit itself: a sample of each class, its headers, and what they tell."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aligngemini.datasets.manifest import LABELS, Row
from aligngemini.datasets.photos import map_ahead
from aligngemini.evaluation.audit.headers import Header, read_header
from aligngemini.evaluation.audit.properties import GROUPS, NAME, Property, properties
from aligngemini.evaluation.audit.result import Audit, Distribution, Kind, Unreadable
from aligngemini.evaluation.audit.tree import Flags, Told, rules, tell_apart
from aligngemini.images.item import ImageError

MOST = 10_000
"""Images of each class that are looked at."""

Cells = npt.NDArray[np.generic]

QUANTILES = {"5 %": 0.05, "median": 0.5, "95 %": 0.95}
ALL_SUBSETS = "*"
THREADS = 4  # they wait for the disk; parsing itself is one at a time


def audit_rows(
    rows: Sequence[Row],
    *,
    most: int | None = MOST,
    seed: int = 0,
    threads: int = THREADS,
    step: Callable[[], None] = lambda: None,
) -> Audit:
    """Audit a labelled set by its files' headers.

    Args:
        rows: Of a manifest. `extra["subset"]`, where there is one, names the subset; photos that
            all subsets share have `*`.
        most: Images of each class to look at, drawn by the seed; None for all.
        seed: Of the choice and of the folds.
        threads: That read files.
        step: Called after each file; see `chosen` for how many there will be.
    """
    files = chosen(rows, most=most, seed=seed)
    kept: list[tuple[Row, Header]] = []
    unreadable = []
    with ThreadPoolExecutor(threads) as executor:
        for row, found in map_ahead(executor, _look, files, 16 * threads):
            if isinstance(found, Header):
                kept.append((row, found))
            else:
                unreadable.append(Unreadable(row.path, row.label, found.code, found.message))
            step()
    fake = np.array([row.label == "fake" for row, _ in kept], bool)
    listed = Counter(row.label for row in _once(rows))
    counted = Audit(
        photos=int((~fake).sum()),
        fakes=int(fake.sum()),
        photos_listed=listed["real"],
        fakes_listed=listed["fake"],
        unreadable=tuple(unreadable),
        distributions=(),
        tree=None,
    )
    if not kept:
        return counted
    table = properties([header for _, header in kept], [row.path for row, _ in kept])
    seen = [one for one in table if one.group != NAME]
    columns = [column for one in seen for column in one.columns]
    tree = tell_apart("everything", columns, fake, seed=seed)
    return replace(
        counted,
        distributions=tuple(_distribution(one, fake) for one in table),
        tree=tree,
        rules=() if tree is None else rules(columns, fake, seed=seed),
        groups=_ranked(
            {group: [one for one in table if one.group == group] for group in GROUPS}, fake, seed
        ),
        properties=_ranked({one.name: [one] for one in seen}, fake, seed),
        subsets=_by_subset([row for row, _ in kept], seen, fake, seed),
    )


def chosen(rows: Sequence[Row], *, most: int | None = MOST, seed: int = 0) -> list[Row]:
    """The rows that `audit_rows` looks at: each file once, at most so many of each class."""
    once = _once(rows)
    rng = np.random.default_rng(seed)
    taken: list[Row] = []
    for label in LABELS:
        of_label = [row for row in once if row.label == label]
        if most is not None and len(of_label) > most:
            of_label = [of_label[k] for k in np.sort(rng.permutation(len(of_label))[:most])]
        taken += of_label
    return taken


def _once(rows: Sequence[Row]) -> list[Row]:
    """The first row of each file and label; photos that subsets share may be listed with each."""
    return list({(row.path, row.label): row for row in reversed(rows)}.values())[::-1]


def _look(row: Row) -> tuple[Row, Header | ImageError]:
    try:
        return row, read_header(row.path)
    except ImageError as error:
        return row, error


def _ranked(parts: Mapping[str, Sequence[Property]], fake: Flags, seed: int) -> tuple[Told, ...]:
    told = [
        tell_apart(name, [column for one in part for column in one.columns], fake, seed=seed)
        for name, part in parts.items()
    ]
    return tuple(sorted((one for one in told if one), key=lambda one: -one.accuracy))


def _by_subset(
    rows: Sequence[Row], seen: Sequence[Property], fake: Flags, seed: int
) -> tuple[Told, ...]:
    names = np.array([str(row.extra.get("subset", "")) for row in rows])
    subsets = sorted(set(names.tolist()) - {"", ALL_SUBSETS})
    if len(subsets) < 2:
        return ()
    told = []
    for subset in subsets:
        inside = np.isin(names, (subset, ALL_SUBSETS))
        columns = [column for one in seen for column in one.only(inside).columns]
        told.append(tell_apart(subset, columns, fake[inside], seed=seed))
    return tuple(one for one in told if one is not None)


def _distribution(one: Property, fake: Flags) -> Distribution:
    kind: Kind = "flags" if one.is_flag else "shares" if one.is_choice else "quantiles"
    count = {"flags": _flags, "shares": _shares, "quantiles": _quantiles}[kind]
    real_cells, fake_cells = one.cells[~fake], one.cells[fake]
    return Distribution(
        one.name,
        one.group,
        kind,
        real=count(real_cells) if real_cells.size else {},
        fake=count(fake_cells) if fake_cells.size else {},
    )


def _flags(cells: Cells) -> dict[str, float]:
    return {"yes": float(cells.astype(np.float64).mean())}


def _shares(cells: Cells) -> dict[str, float]:
    counts = Counter(cells.tolist()).most_common()
    return {str(value): count / len(cells) for value, count in counts}


def _quantiles(cells: Cells) -> dict[str, float]:
    values = cells.astype(np.float64)
    values = values[~np.isnan(values)]
    if not values.size:
        return {}
    return {name: float(np.quantile(values, share)) for name, share in QUANTILES.items()}
