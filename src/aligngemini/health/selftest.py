"""Does this installation give the answers it was released with?

Nothing is downloaded and no file of the user's is read: images are drawn, files made in memory.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage
from PIL import PngImagePlugin

from aligngemini.branches.base import Branch
from aligngemini.branches.provenance import ProvenanceBranch
from aligngemini.health.drawings import drawings, landscape
from aligngemini.health.goldens import TOLERANCE, Goldens, ask, digest, distance, read_goldens
from aligngemini.health.shipped import shipped_branches
from aligngemini.images.decode import decode
from aligngemini.images.formats import FORMATS, load_plugin
from aligngemini.images.item import ImageError
from aligngemini.runtimes.folder import ModelError, open_folder, shipped_models

DECODED_ALIKE = 24
"""Grey levels a lossy format may be off on average, on a smooth picture; far less is usual."""


@dataclass(frozen=True)
class Check:
    """One thing that was tried.

    Attributes:
        group: `drawing`, `model`, `format`, `bad file` or `provenance`.
        name: Of what was tried.
        passed: Whether it was as it should be.
        detail: What came out, in words.
    """

    group: str
    name: str
    passed: bool
    detail: str


def run_selftest(device: str = "auto") -> Iterator[Check]:
    """Try everything, one check after the other.

    Args:
        device: `auto`, `cpu` or `cuda`: where the models run.
    """
    goldens = read_goldens()
    yield from _drawings(goldens)
    for name in shipped_models():
        yield from check_model(name, goldens, device)
    for name in sorted(FORMATS):
        yield _tried("format", name, lambda name=name: _format(name))  # type: ignore[misc]  # mypy: default of a lambda
    for code, data in _bad_files().items():
        yield _bad_file(code, data)
    yield _tried("provenance", "PNG parameters", _provenance)


def check_model(name: str, goldens: Goldens, device: str = "auto") -> Iterator[Check]:
    """A shipped model's files against their hashes, its answers against the recorded ones.

    Args:
        name: As users give it.
        goldens: The record.
        device: `auto`, `cpu` or `cuda`.
    """
    try:
        folder = open_folder(name)
        branch = shipped_branches(device)[name]
    except ModelError as error:
        yield Check("model", name, False, str(error))
        return
    model = f"{folder.name}@{folder.fingerprint}"
    answers = goldens.answers.get(model)
    if answers is None:
        yield Check("model", name, False, f"{model} is not the model of this release")
        return
    yield Check("model", name, True, f"{model}: files whole, runs on {_device(branch)}")
    limit = TOLERANCE[_device(branch)]
    for drawn, pixels in drawings().items():
        if drawn not in answers:
            yield Check("model", f"{name}: {drawn}", False, "no answer is recorded for it")
            continue
        expected = answers[drawn]
        try:
            answer = ask(branch, pixels)
        except (ValueError, RuntimeError) as error:
            yield Check("model", f"{name}: {drawn}", False, f"no answer: {error}")
            continue
        off = distance(answer.score, expected.score)
        detail = f"{answer.score:.4f}, {off:.1e} off in log-odds (limit {limit:g})"
        if answer.verdict != expected.verdict:
            detail += f"; {answer.verdict} instead of {expected.verdict}"
        passed = off <= limit and answer.verdict == expected.verdict
        yield Check("model", f"{name}: {drawn}", passed, detail)


def _drawings(goldens: Goldens) -> Iterator[Check]:
    for name, pixels in drawings().items():
        same = goldens.drawings.get(name) == digest(pixels)
        detail = "drawn as recorded" if same else "this machine draws other pixels than recorded"
        yield Check("drawing", name, same, detail)


def _device(branch: Branch) -> str:
    return str(getattr(getattr(branch, "runtime", None), "device", "cpu"))


def _format(name: str) -> str:
    load_plugin(name)
    drawn = landscape(96, 128, 8)
    file = io.BytesIO()
    options = {"quality": 95} if name in ("JPEG", "WEBP", "AVIF", "HEIF") else {}
    PILImage.fromarray(drawn).save(file, name, **options)
    image = decode(file.getvalue())
    if image.pixels.shape != drawn.shape:
        raise ValueError(f"{image.pixels.shape} pixels instead of {drawn.shape}")
    off = float(np.abs(image.pixels.astype(int) - drawn).mean())
    if off > DECODED_ALIKE:
        raise ValueError(f"the picture is {off:.0f} grey levels off on average")
    return f"written and read back, {off:.1f} grey levels off on average"


def _bad_files() -> dict[str, bytes]:
    """Files that cannot be judged, by the code they have to give."""
    file = io.BytesIO()
    PILImage.fromarray(landscape(96, 128, 8)).save(file, "JPEG")
    whole = file.getvalue()
    tiny = io.BytesIO()
    PILImage.fromarray(landscape(96, 128, 8)[:8, :8]).save(tiny, "PNG")
    return {
        "empty": b"",
        "unsupported": b"no image, just a line of text\n",
        "truncated": whole[: len(whole) // 2],
        "too-small": tiny.getvalue(),
    }


def _bad_file(code: str, data: bytes) -> Check:
    try:
        decode(data)
    except ImageError as error:
        return Check("bad file", code, error.code == code, f"{error.code}: {error.message}")
    return Check("bad file", code, False, "opened as if it were whole")


def _provenance() -> str:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a lighthouse\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    file = io.BytesIO()
    PILImage.fromarray(landscape(96, 128, 8)).save(file, "PNG", pnginfo=text)
    (evidence,) = ProvenanceBranch().judge([decode(file.getvalue())])
    claims = [signal.kind for signal in evidence.signals or () if signal.claim == "ai"]
    if not claims:
        raise ValueError("the parameters of an image generator were not found")
    return f"found: {', '.join(claims)}"


def _tried(group: str, name: str, attempt: Callable[[], str]) -> Check:
    try:
        return Check(group, name, True, attempt())
    except Exception as error:  # whatever fails here is the finding
        return Check(group, name, False, f"{type(error).__name__}: {error}")
