import io
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import standin
from PIL import Image as PILImage

from aligngemini.cli import main
from aligngemini.runner import DetectorOptions


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def records(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def draw(tmp_path):
    """Writes an image of one colour (or one grey level) and gives its path."""

    def draw(name, colour=60, size=(64, 48)):
        path = tmp_path / name
        colour = (colour,) * 3 if isinstance(colour, int) else colour
        PILImage.new("RGB", size, colour).save(path)
        return str(path)

    return draw


@pytest.fixture
def model(tmp_path):
    return str(standin.make_model_folder(tmp_path / "model"))


@pytest.fixture
def detect(monkeypatch, capsys, model):
    """Runs `aligngemini detect` in this process, its workers in others."""
    monkeypatch.setattr(DetectorOptions, "load", standin.load)

    def detect(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        try:
            expert = () if "--pixel" in arguments else ("--pixel", model)
            code = main(["detect", *expert, *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return Run(code, *capsys.readouterr())

    return detect


@pytest.fixture
def start(model):
    """Starts `aligngemini detect` as a process of its own, with pipes of bytes.

    The pipes are unbuffered: what `readline` does not return is left for `communicate`.
    """
    script = str(Path(standin.__file__))
    # As users have it: standard output is buffered.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    with ExitStack() as ends:

        def start(*arguments, **settings):
            expert = () if "--pixel" in arguments else ("--pixel", model)
            command = [sys.executable, script, "detect", *expert, *map(str, arguments)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings}
            process = ends.enter_context(
                subprocess.Popen(command, bufsize=0, env=environment, **pipes)
            )
            ends.callback(process.kill)
            return process

        yield start
