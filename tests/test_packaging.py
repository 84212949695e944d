"""What people install: small, complete, and nothing in it that detection does not need."""

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import aligngemini

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/aligngemini"
HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "pyarrow", "cv2", "skimage", "yaml")


def installed_with(name: str) -> set[str]:
    """Everything that installing a distribution without extras brings along."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for text in requires(waiting.pop()) or ():
            requirement = Requirement(text)
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in found:
                found.add(name)
                waiting.append(name)
    return found


def test_detection_installs_no_training_stack():
    brought = installed_with("aligngemini")
    assert {"numpy", "pillow", "onnxruntime"} <= brought  # the walk itself works
    unwanted = {"torch", "transformers", "scikit-learn", "scipy", "pandas", "pyarrow"}
    assert not brought & {*unwanted, "opencv-python", "opencv-python-headless", "scikit-image"}


@pytest.fixture
def run_without(tmp_path):
    """Runs the command line, in whose processes some modules cannot be imported.

    Gives the process and the names it tried; an import that is tried and forgiven counts as well.
    """
    tried = tmp_path / "tried"
    tried.mkdir()
    modules = tmp_path / "modules"
    modules.mkdir()

    def run(names, *arguments):
        for name in names:
            (modules / f"{name}.py").write_text(
                f"import pathlib\npathlib.Path({str(tried / name)!r}).touch()\n"
                "raise ImportError('not on the way to a verdict')\n"
            )
        command = [sys.executable, "-c", "import sys; from aligngemini.cli import main;"]
        command[-1] += "sys.exit(main())"
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(modules)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done, sorted(path.name for path in tried.iterdir())

    return run


def test_detection_imports_no_training_stack(run_without, tmp_path):
    sample = ROOT / "samples/photos/chelsea.jpg"
    outputs = ("--report", tmp_path / "page.html", "--heatmaps", tmp_path / "maps")
    done, tried = run_without(HEAVY, "detect", sample, "--workers", "1", *outputs)
    assert done.returncode == 0, done.stderr
    assert tried == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["detect", "--help"], ["train", "--help"]]
)
def test_help_loads_nothing_heavy(run_without, arguments):
    light = ("numpy", "PIL", "onnxruntime", "rich", "jinja2")
    done, tried = run_without((*HEAVY, *light), *arguments)
    assert done.returncode == 0, done.stderr
    assert tried == []


def test_importing_the_package_loads_nothing_heavy():
    script = "import sys, aligngemini; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(done.stdout.split()) & {*HEAVY, "numpy", "PIL", "onnxruntime"}


def test_the_wheel_holds_the_whole_package_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    sources = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources
    assert licences
    for needed in (
        "py.typed",
        "assets/compact-v1/model.onnx",
        "assets/compact-v1/card.md",
        "assets/gamma-compact-v1/model.onnx",
        "assets/gamma-compact-v1/card.md",
        "health/goldens.json",
        "benchmarks/published.yaml",
        "report/templates/card.html.j2",
        "training/recipes/compact.yaml",
    ):
        assert f"aligngemini/{needed}" in names


def test_one_version_everywhere():
    assert version("aligngemini") == aligngemini.__version__
