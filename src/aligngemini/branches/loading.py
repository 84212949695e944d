"""Branches by what the user calls their models."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from aligngemini.branches.base import Branch
from aligngemini.branches.gamma import GammaBranch
from aligngemini.branches.pixel import PixelBranch
from aligngemini.runtimes.folder import ModelError, find_folder, open_folder
from aligngemini.runtimes.opening import open_runtime
from aligngemini.runtimes.preprocess import Tiles
from aligngemini.runtimes.published import PUBLISHED

CLASSIFIER = "hf:"
"""Opens the name of an image classifier of `transformers`."""


@dataclass(frozen=True)
class ClassifierSpec:
    """What stands behind `hf:`, taken apart: `PLACE[@REVISION][#LABEL,LABEL...]`.

    Attributes:
        place: A folder, or a repository of the Hub.
        revision: Branch, tag or commit of the repository; None for its newest.
        fake_labels: Labels that mean fake; empty where their words are to tell.
    """

    place: str
    revision: str | None = None
    fake_labels: tuple[str, ...] = ()


def load_pixel(
    spec: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    name: str = "pixel",
    allow_pull: bool = False,
) -> Branch:
    """Load a pixel expert.

    Args:
        spec: Name of a model that ships, is installed or can be pulled (`dda`); a model folder; or
            `hf:` and an image classifier of the Hub or in a folder, see `ClassifierSpec`.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads of one forward pass; None leaves it to the runtime.
        name: Of the branch in records.
        allow_pull: Whether a published model that is not installed may be downloaded. A classifier
            always may, into the cache of the Hub.

    Raises:
        ModelError: It is not there, or cannot be used.
    """
    if _is_classifier(spec):
        return _load_classifier(parse_classifier(str(spec)), device, threads, name)
    if allow_pull and _is_remote(spec):
        _fetch(str(spec))
    return PixelBranch.load(spec, device=device, threads=threads, name=name)


def load_folder(model: str | Path, *, device: str = "auto") -> Branch:
    """Load a model folder as the branch it is for: a pixel expert or GAMMA.

    Raises:
        ModelError: It is not there, or cannot be used.
    """
    folder = open_folder(model)
    kind = GammaBranch if isinstance(folder.preprocess, Tiles) else PixelBranch
    return kind(folder, open_runtime(folder, device=device))


def fetch_pixel(spec: str | Path) -> None:
    """Download what an expert needs, where it is not on this machine yet.

    For programs that judge in other processes, which then find it there, and whose time limits do
    not run meanwhile. It is done in a process of its own: the threads that PyTorch and the Hub's
    client start would hang processes forked from this one later.

    Raises:
        ModelError: It cannot be downloaded, or is not what it should be.
    """
    if _is_remote(spec):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            process.submit(_fetch, str(spec)).result()


def parse_classifier(spec: str) -> ClassifierSpec:
    """Take `hf:PLACE[@REVISION][#LABEL,LABEL...]` apart; a folder may have those signs in its name.

    Raises:
        ModelError: No place is named.
    """
    place, revision, labels = spec.removeprefix(CLASSIFIER), None, ""
    if not Path(place).is_dir() and "#" in place:
        place, _, labels = place.rpartition("#")
    if not Path(place).is_dir():
        place, _, given = place.partition("@")
        revision = given or None
    if not place:
        raise ModelError("hf: needs a name behind it: hf:OWNER/NAME, or hf:DIR")
    named = tuple(label.strip() for label in labels.split(",") if label.strip())
    return ClassifierSpec(place, revision, named)


def _is_classifier(spec: str | Path) -> bool:
    return isinstance(spec, str) and spec.startswith(CLASSIFIER)


def _is_remote(spec: str | Path) -> bool:
    if _is_classifier(spec):
        return not Path(parse_classifier(str(spec)).place).is_dir()
    return str(spec) in PUBLISHED and not find_folder(spec).is_dir()


def _fetch(spec: str) -> None:
    if _is_classifier(spec):
        _classifier_folder(parse_classifier(spec))
    else:
        from aligngemini.runtimes.pulling import pull_model  # noqa: PLC0415 - rarely needed

        pull_model(spec)


def _classifier_folder(spec: ClassifierSpec) -> Path:
    if Path(spec.place).is_dir():
        return Path(spec.place)
    from aligngemini.runtimes.pulling import fetch_classifier  # noqa: PLC0415 - rarely needed

    return fetch_classifier(spec.place, spec.revision)


def _load_classifier(spec: ClassifierSpec, device: str, threads: int | None, name: str) -> Branch:
    from aligngemini.branches.hub import HubBranch  # noqa: PLC0415 - rarely needed
    from aligngemini.runtimes.opening import open_classifier  # noqa: PLC0415

    classifier = open_classifier(_classifier_folder(spec), device=device, threads=threads)
    return HubBranch(classifier, model=spec.place, fake_labels=spec.fake_labels, name=name)
