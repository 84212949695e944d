"""An attack on labelled images, each turned towards the other class, as rows of scores."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from aligngemini.branches.pixel import PixelBranch
from aligngemini.datasets.manifest import Row
from aligngemini.detector import Detector
from aligngemini.evaluation.evaluate import score_row
from aligngemini.evaluation.robustness.pgd import EPSILONS, STEPS, Attacker
from aligngemini.evaluation.scores import ScoreRow
from aligngemini.evaluation.store import Judgment, Said, Store
from aligngemini.images.deliveries import AS_IS
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import open_folder
from aligngemini.verdict import Verdict

BRANCH = "pixel"


def attack_rows(
    rows: Sequence[Row],
    model: str | Path,
    out: Path,
    *,
    epsilons: Sequence[int] = EPSILONS,
    steps: int = STEPS,
    device: str = "auto",
    step: Callable[[], None] = lambda: None,
) -> list[ScoreRow]:
    """Attack images with projected gradient descent; what `out` holds already is not done again.

    Photos are pushed towards `fake`, fakes towards `real`. The expert that judges the result is the
    one that `aligngemini detect` would run, whichever engine that is.

    Args:
        rows: Labelled images.
        model: Folder of an expert that looks at one centred crop, with its PyTorch weights.
        out: Folder that keeps what was judged.
        epsilons: Grey levels that a value may move by, rising.
        steps: Gradients for each of them.
        device: `auto`, `cpu` or `cuda`.
        step: Called after each image.

    Returns:
        Rows of the branch `pixel` by protocol (`as-is`, then `pgd:EPSILON`) and image.

    Raises:
        ModelError: The model is none that can be attacked so.
        OSError: The folder cannot be written.
    """
    attacker = Attacker(open_folder(model), device=device)
    branch = PixelBranch.load(model, device=device)
    detector = Detector([branch])
    protocols = [AS_IS, *(f"pgd:{epsilon}" for epsilon in epsilons)]
    found: list[list[ScoreRow]] = []
    with Store(out, f"{branch.model}, PGD of {steps} steps within {tuple(epsilons)}") as store:
        for row in rows:
            towards = "real" if row.label == "fake" else "fake"
            image = detector.open(row.path)
            if isinstance(image, Verdict):
                judgments = [Judgment.of(image)] * len(protocols)
            else:
                names = [f"{protocol} towards {towards}" for protocol in protocols]
                kept = [store.get(image.sha256 or "", name) for name in names]
                judgments = [one for one in kept if one is not None]
                if len(judgments) < len(names):
                    attacked = attacker.attack(
                        image.pixels, towards=towards, epsilons=epsilons, steps=steps
                    )
                    pictures = [image.pixels, *(one.pixels for one in attacked)]
                    judgments = [Judgment.of(detector.judge(Image(pixels))) for pixels in pictures]
                    for name, judgment in zip(names, judgments, strict=True):
                        store.add(image.sha256 or "", name, judgment)
            digest = image.sha256 or ""
            found.append(list(_score_rows(row, digest, protocols, judgments, branch.model)))
            step()
    return [of_image[k] for k in range(len(protocols)) for of_image in found]


def _score_rows(
    row: Row, digest: str, protocols: Sequence[str], judgments: Sequence[Judgment], model: str
) -> Iterator[ScoreRow]:
    for protocol, judgment in zip(protocols, judgments, strict=True):
        said = judgment.said.get(BRANCH, Said(None, None, None, None, judgment.error))
        yield score_row(row, said, sha256=digest, protocol=protocol, judge=(BRANCH, model))
