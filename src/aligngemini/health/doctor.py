"""What is installed, and what would run where. Every probe stands alone: one that fails says so."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from aligngemini import __version__
from aligngemini.cores import usable_cores

State = Literal["ok", "missing", "broken"]

EXTRAS = {
    "vlm": "the semantic branch, experts that nobody exported, hf: classifiers",
    "train": "building training sets, training, exporting",
    "evaluate": "measuring on benchmarks",
    "scan": "archives, Parquet and buckets for scans, near-duplicates",
    "cluster": "scans on Ray",
    "serve": "the HTTP service",
    "client": "asking such a service from Python",
}
"""What each extra of the package switches on."""
VARIABLES = (
    *("ALIGNGEMINI_HOME", "HF_HOME", "HF_HUB_OFFLINE", "HF_TOKEN"),
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"),
)
SECRET = frozenset({"HF_TOKEN"})
PROBE_TIMEOUT = 60.0  # seconds; the first import of PyTorch from a cold disk takes many
TORCH_PROBE = """
import torch
print(torch.cuda.is_available())
for k in range(torch.cuda.device_count()):
    p = torch.cuda.get_device_properties(k)
    print(f"{p.name}, {p.total_memory / 2**30:.0f} GiB")
"""


@dataclass(frozen=True)
class Finding:
    """One line of what was found.

    Attributes:
        section: `versions`, `extras`, `devices`, `formats`, `models`, `folders` or `environment`.
        name: Of what was looked at.
        state: `ok`; `missing` for what is optional and not here; `broken` for what stops detection.
        detail: In words.
    """

    section: str
    name: str
    state: State
    detail: str


def examine() -> Iterator[Finding]:
    """Look at everything, section by section."""
    for section, probe in (
        ("versions", _versions),
        ("extras", _extras),
        ("devices", _devices),
        ("formats", _formats),
        ("models", _models),
        ("folders", _folders),
        ("environment", _environment),
    ):
        try:
            yield from probe()
        except Exception as error:  # noqa: PERF203 - a doctor who faints helps nobody
            yield Finding(section, "probe", "broken", f"{type(error).__name__}: {error}")


def _versions() -> Iterator[Finding]:
    yield Finding("versions", "aligngemini", "ok", __version__)
    system = f"{platform.python_version()} on {platform.platform()}"
    yield Finding("versions", "python", "ok", system)
    for requirement in _requirements(""):
        found = _installed(requirement.name)
        if found is None:
            text = f"not installed, and needed: pip install '{requirement}'"
            yield Finding("versions", requirement.name, "broken", text)
        elif not requirement.specifier.contains(found, prereleases=True):
            text = f"{found}, but {requirement.specifier} is needed"
            yield Finding("versions", requirement.name, "broken", text)
        else:
            yield Finding("versions", requirement.name, "ok", found)


def _extras() -> Iterator[Finding]:
    for extra, what in EXTRAS.items():
        needed = _requirements(extra)
        lacking = [one.name for one in needed if _installed(one.name) is None]
        old = [
            f"{one.name} {found} (needs {one.specifier})"
            for one in needed
            if (found := _installed(one.name))
            and not one.specifier.contains(found, prereleases=True)
        ]
        if not lacking and not old:
            yield Finding("extras", extra, "ok", what)
            continue
        wrong = ", ".join([*lacking, *old])
        text = f"{what}: lacks {wrong}; pip install 'aligngemini[{extra}]'"
        yield Finding("extras", extra, "missing", text)


def _devices() -> Iterator[Finding]:
    from aligngemini.runtimes.onnx import has_cuda  # noqa: PLC0415 - may be what is broken

    yield Finding("devices", "CPU", "ok", f"{usable_cores()} cores that this process may use")
    where = "CUDA" if has_cuda() else "the CPU; it has no CUDA"
    yield Finding("devices", "ONNX Runtime", "ok", f"exported models run on {where}")
    if _installed("torch") is None:
        yield Finding("devices", "PyTorch", "missing", "not installed; exported models need none")
        return
    code, text = _run([sys.executable, "-c", TORCH_PROBE])
    lines = text.split("\n")
    if code != 0:
        yield Finding("devices", "PyTorch", "missing", f"does not start: {lines[-1]}")
    elif lines[0] == "True":
        yield Finding("devices", "PyTorch", "ok", f"CUDA on {'; '.join(lines[1:])}")
    else:
        text = "runs on the CPU; a model of billions of parameters takes minutes an image there"
        yield Finding("devices", "PyTorch", "ok", text)
    if shutil.which("nvidia-smi"):
        query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        code, text = _run(["nvidia-smi", *query])
        state: State = "ok" if code == 0 else "missing"
        yield Finding("devices", "nvidia-smi", state, text.replace("\n", "; "))


def _formats() -> Iterator[Finding]:
    from aligngemini.images.formats import FORMATS  # noqa: PLC0415 - may be what is broken

    for name in sorted(FORMATS):
        yield _tried("formats", name, lambda name=name: _load(name))  # type: ignore[misc]  # mypy: default of a lambda


def _load(name: str) -> str:
    from PIL import features  # noqa: PLC0415 - as above

    from aligngemini.images.formats import load_plugin  # noqa: PLC0415

    load_plugin(name)
    if name == "HEIF":
        return f"pillow-heif {version('pillow-heif')}"
    feature = {"JPEG": "jpg", "WEBP": "webp", "AVIF": "avif", "TIFF": "libtiff", "PNG": "zlib"}
    library = feature.get(name)
    if library is None:
        return "Pillow's own"
    if not features.check(library):
        raise ValueError("this Pillow was built without it")
    return str(features.version(library) or "built in")


def _models() -> Iterator[Finding]:
    from aligngemini.runtimes.folder import (  # noqa: PLC0415 - as above
        ModelError,
        open_folder,
        shipped_models,
    )
    from aligngemini.runtimes.store import installed_models  # noqa: PLC0415

    for state, models in (("ships", shipped_models()), ("installed", installed_models())):
        for name, path in models.items():
            try:
                folder = open_folder(path)
            except ModelError as error:
                mark: State = "broken" if state == "ships" else "missing"
                yield Finding("models", name, mark, str(error))
                continue
            engines = {"ONNX Runtime": folder.onnx, "PyTorch": folder.safetensors}
            runs = " and ".join(engine for engine, weights in engines.items() if weights)
            yield Finding("models", name, "ok", f"{state}, @{folder.fingerprint}, runs on {runs}")


def _folders() -> Iterator[Finding]:
    from aligngemini.runtimes.store import models_home  # noqa: PLC0415 - as above

    hub = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser() / "hub"
    for name, folder in (("models", models_home()), ("Hub cache", hub)):
        if not folder.is_dir():
            yield Finding("folders", name, "ok", f"{folder} (not made yet)")
            continue
        size = sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_symlink())
        free = shutil.disk_usage(folder).free
        text = f"{folder}, {size / 1e9:.1f} GB, {free / 1e9:.0f} GB free on its disk"
        yield Finding("folders", name, "ok", text)


def _environment() -> Iterator[Finding]:
    for name in VARIABLES:
        value = os.environ.get(name)
        if value is not None:
            yield Finding("environment", name, "ok", "set" if name in SECRET else value)


def _requirements(extra: str) -> list[Requirement]:
    """What the package needs for an extra, or, for "", what it always needs."""
    found = [Requirement(line) for line in requires("aligngemini") or []]
    if not extra:
        return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
    return [one for one in found if one.marker and one.marker.evaluate({"extra": extra})]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _run(command: list[str]) -> tuple[int, str]:
    """Exit code and output; in a process of its own, because a broken driver takes one along."""
    try:
        done = subprocess.run(  # noqa: S603 - the commands are ours
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return done.returncode, (done.stdout if done.returncode == 0 else done.stderr).strip()


def _tried(section: str, name: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(section, name, "ok", attempt())
    except Exception as error:  # whatever fails here is the finding
        return Finding(section, name, "broken", f"{type(error).__name__}: {error}")
