"""A manipulation set as GAMMA trains on it: crops by draw number (arXiv 2509.10250)."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from aligngemini.datasets.crop_settings import CropSettings, CropShape, Stage
from aligngemini.datasets.crops import Item, draw_crops
from aligngemini.datasets.manifest import ManifestError
from aligngemini.datasets.manipulation_set import Sample

TRAINING, HELD_OUT = 0, 1  # what a seed is for


class CropDataset(Dataset[Item]):
    """Draw number i of a training run: crops of one image, their masks and labels.

    What a number gives depends on it and the seed alone, so that a resumed run goes on with what an
    undisturbed one would have seen, whatever the number of loader processes.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        stages: Sequence[Stage],
        shape: CropShape,
        settings: CropSettings,
        *,
        per_step: int,
        seed: int,
    ) -> None:
        """Take the samples of a run.

        Args:
            samples: To draw from.
            stages: Of the run, one after the other.
            shape: Of the crops.
            settings: Of everything random.
            per_step: Images of one optimiser step.
            seed: Of every draw; 0 or more.

        Raises:
            ManifestError: There is no sample of any manipulation that a stage draws.
        """
        self.stages = list(stages)
        self.ends = np.cumsum([stage.steps * per_step for stage in stages]).tolist()
        self.groups = [_groups(samples, settings.shares, stage.kinds) for stage in stages]
        self.shape = shape
        self.settings = settings
        self.seed = seed

    def __len__(self) -> int:
        """Draws of the whole run, images."""
        return int(self.ends[-1])

    def __getitem__(self, number: int) -> Item:
        """See `draw_crops`.

        Raises:
            ManifestError: The image cannot be read.
            ManipulationSetError: One of its masks cannot be used.
        """
        rng = np.random.default_rng([TRAINING, self.seed, number])
        index = bisect_right(self.ends, number)
        stage, (groups, weights) = self.stages[index], self.groups[index]
        group = groups[int(rng.choice(len(groups), p=weights))]
        delivery = replace(
            self.settings.delivery,
            rescale=stage.delivery * self.settings.delivery.rescale,
            jpeg=stage.delivery * self.settings.delivery.jpeg,
        )
        settings = replace(self.settings, delivery=delivery)
        sample = group[int(rng.integers(len(group)))]
        return draw_crops(sample, stage.side, self.shape, settings, rng, count=stage.crops)


class HeldOutCrops(Dataset[Item]):
    """One crop of each held-out image, the same ones in every evaluation."""

    def __init__(
        self,
        samples: Sequence[Sample],
        side: int,
        shape: CropShape,
        settings: CropSettings,
        *,
        seed: int,
    ) -> None:
        """Take the samples and the side of the crops, pixels; see `CropDataset`."""
        self.samples = list(samples)
        self.side = side
        self.shape = shape
        self.settings = replace(settings, pairs=False)
        self.seed = seed

    def __len__(self) -> int:
        """Images."""
        return len(self.samples)

    def __getitem__(self, number: int) -> Item:
        """See `CropDataset.__getitem__`."""
        rng = np.random.default_rng([HELD_OUT, self.seed, number])
        return draw_crops(self.samples[number], self.side, self.shape, self.settings, rng)


def _groups(
    samples: Sequence[Sample], shares: Mapping[str, float] | None, kinds: Collection[str]
) -> tuple[list[list[Sample]], list[float]]:
    """Samples by manipulation, and how likely each group is."""
    shares = shares or Counter(sample.manipulation for sample in samples)
    if kinds:
        shares = {name: share for name, share in shares.items() if name in kinds}
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if shares.get(sample.manipulation, 0) > 0:
            found.setdefault(sample.manipulation, []).append(sample)
    if not found:
        raise ManifestError(
            f"no image to train on: none is of a manipulation in {', '.join(shares or kinds)}"
        )
    total = sum(shares[name] for name in found)
    return list(found.values()), [shares[name] / total for name in found]
