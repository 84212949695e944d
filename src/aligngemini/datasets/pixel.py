"""What the compact expert trains on: views from a pool, and how often each is drawn."""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from aligngemini.datasets.manifest import Row
from aligngemini.datasets.pool import Pool, kind_of


class ViewsDataset(Dataset[dict[str, Tensor]]):
    """Views of a pool, cropped and mirrored at random."""

    def __init__(self, pool: Pool, keep: Sequence[int], crop: int) -> None:
        """Take part of a pool.

        Args:
            pool: Where the views lie.
            keep: Which of them to use.
            crop: Side of the random crop out of each pool crop, pixels.
        """
        self.pool = pool
        self.keep = list(keep)
        self.crop = crop

    def __len__(self) -> int:
        """Views in this part of the pool."""
        return len(self.keep)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """One random crop (1, 3, S, S), the whole view (3, W, W), both uint8, and the label."""
        k = self.keep[index]
        crops, whole = self.pool.crops[k], self.pool.whole[k]
        room = crops.shape[1] - self.crop + 1
        choice, top, left = (int(torch.randint(high, ())) for high in (len(crops), room, room))
        crop = crops[choice : choice + 1, top : top + self.crop, left : left + self.crop]
        if torch.rand(()) < 0.5:
            crop, whole = crop[:, :, ::-1], whole[:, ::-1]
        return {
            "crops": torch.from_numpy(crop.copy()).permute(0, 3, 1, 2),
            "whole": torch.from_numpy(whole.copy()).permute(2, 0, 1),
            "labels": torch.tensor(float(self.pool.rows[k].label == "fake")),
        }


def sampling_weights(rows: Sequence[Row], pair_share: float, group_power: float) -> list[float]:
    """How often each row is drawn: labels equal, kinds of fakes as asked, sources evened out.

    Args:
        rows: Of the views, in the dataset's order.
        pair_share: Share of the fakes that are reconstructions; the rest are AI images. Where one
            of the two kinds is missing, the other takes its share.
        group_power: A generator (or photo source) of n views is drawn as often as n to this power.
    """
    kinds = [kind_of(row) for row in rows]
    shares = {"real": 0.5, "fake": 0.5 * (1 - pair_share), "pair": 0.5 * pair_share}
    if "fake" not in kinds or "pair" not in kinds:
        shares["fake"] = shares["pair"] = 0.5
    groups = [(kind, group_of(row)) for kind, row in zip(kinds, rows, strict=True)]
    sizes = Counter(groups)
    totals: dict[str, float] = {}
    for (kind, _), size in sizes.items():
        totals[kind] = totals.get(kind, 0.0) + size**group_power
    return [
        shares[kind] * sizes[kind, group] ** (group_power - 1) / totals[kind]
        for kind, group in groups
    ]


def group_of(row: Row) -> str:
    """What sources are evened out by: the generator of an AI image, else where it came from."""
    return row.generator if kind_of(row) == "fake" else row.source
