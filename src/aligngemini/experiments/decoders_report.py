"""The study of decoders: names of its figures, what the numbers say, the matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from aligngemini.experiments.matrix import heat
from aligngemini.experiments.table import Floats, Table, difference_of, judged

ALL, NO_TRACE = "all of them", "no trace"
QUALITY = 90
JPEG = f", JPEG {QUALITY}"
AI_IMAGES, GROUP = "AI images", "AI: "
LOT, PSNR, LEFT_OUT = "labels by lot", "PSNR", "left out"


def conclude(table: Table) -> list[str]:
    """Own decoder against others, architecture against weights, one against all, AI images."""
    names = _decoders(table)
    own = _mean(table, [(name, name) for name in names])
    pairs = [(one, other) for one in names for other in names if one != other]
    others = _mean(table, pairs)
    worst = min(pairs, key=lambda pair: table.mean(*pair))
    said = [
        judged(
            "an expert reads the decoder it was trained on better than others (AUC, own minus "
            "others)",
            difference_of(own - others),
        ),
        f"Own decoder {own.mean():.3f}, others {others.mean():.3f} on average; the worst step is "
        f"from {worst[0]} to {worst[1]}: {table.text(*worst)}.",
    ]
    kin = [(a, b) for a, b in pairs if _family(a) == _family(b)]
    strangers = [(a, b) for a, b in pairs if _family(a) != _family(b)]
    if kin and strangers:
        gain = _mean(table, kin) - _mean(table, strangers)
        said.append(
            judged(
                "a decoder of the same architecture with other weights is read better than one of "
                "another architecture",
                difference_of(gain),
            )
        )
    worn = _mean(table, [(one, other + JPEG) for one, other in pairs])
    said.append(
        f"After JPEG {QUALITY} the mean over other decoders is {worn.mean():.3f} instead of "
        f"{others.mean():.3f}, and over own ones "
        f"{_mean(table, [(name, name + JPEG) for name in names]).mean():.3f}."
    )
    return said + (_conclude_on_ai(table, names) if table.has(ALL, AI_IMAGES) else [])


def _conclude_on_ai(table: Table, names: Sequence[str]) -> list[str]:
    singles = np.stack([table.values(name, AI_IMAGES) for name in names])
    best = max(names, key=lambda name: table.mean(name, AI_IMAGES))
    return [
        judged(
            "experts trained on one decoder see real AI images further above chance than other "
            "subjects alone move one that saw no decoder, to either side",
            difference_of(singles.mean(0) - 0.5 - np.abs(table.values(NO_TRACE, AI_IMAGES) - 0.5)),
        ),
        judged(
            f"training on all decoders finds real AI images better than on the best one ({best})",
            table.difference((ALL, AI_IMAGES), (best, AI_IMAGES)),
        ),
        f"On real AI images the expert of {best} has an AUC of {table.text(best, AI_IMAGES)}, that "
        f"of all decoders {table.text(ALL, AI_IMAGES)}, and one that saw no decoder "
        f"{table.text(NO_TRACE, AI_IMAGES)}.",
    ]


def _mean(table: Table, places: Sequence[tuple[str, str]]) -> Floats:
    """(seeds,) mean over cells and figures."""
    mean: Floats = np.mean([table.values(*place) for place in places], axis=0)
    return mean


def _decoders(table: Table) -> list[str]:
    return [cell for cell in table.cells if cell not in (ALL, NO_TRACE)]


def _family(name: str) -> str:
    return name.partition("-")[0]


def figure(table: Table) -> Figure:
    """The matrix: trained on a row, tested on a column."""
    names = _decoders(table)
    groups = [name for name in table.figures if name.startswith(GROUP)]
    panels = {
        "AUC on decoders": names,
        f"after JPEG {QUALITY}": [name + JPEG for name in names],
    }
    if groups:
        panels["on AI images"] = [*groups, AI_IMAGES]
    rows = [*names, ALL, NO_TRACE] if groups else [*names, ALL]
    return heat(table, panels, rows, label="trained on")
