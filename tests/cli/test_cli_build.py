"""`aligngemini build pixel-set` as a user runs it, down to kills and full disks."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fixtures import vaes as tiny_vaes
from fixtures.drawn import png, texture
from PIL import Image

from aligngemini.cli import main
from aligngemini.datasets.manifest import read_manifest

PHOTOS = 16


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return tiny_vaes.kl(tmp_path_factory.mktemp("vae") / "kl")


@pytest.fixture(scope="module")
def taef2(tmp_path_factory):
    """For processes: what opens it starts in half the time."""
    return tiny_vaes.taef2(tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(PHOTOS):
        (folder / f"{seed}.png").write_bytes(png(texture(64, 64, seed=seed)))
    return folder


@pytest.fixture
def build(capsys):
    """Runs the command in this process."""

    def build(*arguments):
        capsys.readouterr()
        try:
            code = main(["build", "pixel-set", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return build


def command(*arguments):
    return [sys.executable, "-m", "aligngemini", "build", "pixel-set", *map(str, arguments)]


def pictures(out):
    return {
        str(path.relative_to(out)): np.asarray(Image.open(path)).astype(int)
        for path in sorted(out.glob("*/*.png"))
    }


def test_photos_become_pairs(build, photos, vae, tmp_path):
    out = tmp_path / "set"
    code, said, _ = build(photos, "--out", out, "--vae", vae, "--limit", 3, "--device", "cpu")
    assert (code, said) == (0, f"{out}: 3 reconstructions of 3 photos\n")
    assert len(read_manifest(out / "manifest.parquet")) == 6


def test_options_reach_the_set(build, photos, vae, tmp_path):
    other = tiny_vaes.tiny(tmp_path / "tiny")
    out = tmp_path / "set"
    options = ("--posterior", "mean", "--max-side", 40, "--seed", 5, "--split-val", 1)
    code, _, _ = build(
        photos, "--out", out, "--vae", vae, "--vae", other, *options, "--dtype", "bf16"
    )
    assert code == 0
    rows = read_manifest(out / "manifest.parquet")
    assert {row.generator for row in rows} == {"", "kl", "tiny"}
    assert {row.split for row in rows} == {"val"}
    assert {row.extra["width"] for row in rows} == {40}
    fakes = [row.extra for row in rows if row.label == "fake"]
    assert {extra["dtype"] for extra in fakes} == {"bf16"}
    assert {extra["posterior"] for extra in fakes} == {"mean", "none"}


def test_photos_left_out_are_exit_code_1(build, photos, vae, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8 no picture")
    out = tmp_path / "set"
    code, _, err = build(photos / "0.png", bad, "--out", out, "--vae", vae)
    assert code == 1
    assert err == f"1 photos could not be used: {out / 'failed.csv'} says why\n"
    assert "bad.jpg" in (out / "failed.csv").read_text()


def test_duplicates_alone_are_no_failure(build, photos, vae, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes((photos / "0.png").read_bytes())
    code, _, err = build(photos / "0.png", copy, "--out", tmp_path / "set", "--vae", vae)
    assert (code, err) == (0, "1 duplicates left out\n")


@pytest.fixture
def places(photos, vae, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    return {"photos": photos, "vae": vae, "tmp": tmp_path}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{photos}"], "--out"),
        (["--out", "{tmp}/set"], "PHOTOS"),
        (["{tmp}/empty", "--out", "{tmp}/set", "--vae", "{vae}"], "found no photo"),
        (["{photos}", "--out", "{photos}/set", "--vae", "{vae}"], "lies among the photos"),
        (["{photos}", "--out", "{tmp}/set", "--vae", "{tmp}/empty"], "holds no VAE"),
        (["{photos}", "--out", "{tmp}/set", "--vae", "gone"], "there is no VAE 'gone'"),
        (["{photos}", "--out", "{tmp}/file", "--vae", "{vae}"], "cannot be written: File exists"),
        (["{photos}", "--out", "{tmp}/set", "--device", "tpu"], "tpu"),
        (["{photos}", "--out", "{tmp}/set", "--split-val", "2"], "share between 0 and 1"),
        (["{photos}", "--out", "{tmp}/set", "--batch-size", "0"], "1 or more"),
        (["{photos}", "--out", "{tmp}/set", "--posterior", "mode"], "mode"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_sentence(build, places, tmp_path, arguments, said):
    code, out, err = build(*(argument.format(**places) for argument in arguments))
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("aligngemini build: ")
    assert len(err.splitlines()) <= 2
    assert not (tmp_path / "set").exists()


def test_gpu_that_is_not_there_is_said(build, photos, vae, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    code, _, err = build(photos, "--out", tmp_path / "set", "--vae", vae, "--device", "cuda")
    assert code == 2
    assert "no CUDA device" in err


def test_other_settings_are_said(build, photos, vae, tmp_path):
    options = (photos, "--out", tmp_path / "set", "--vae", vae, "--limit", 1)
    assert build(*options)[0] == 0
    code, _, err = build(*options, "--posterior", "mean")
    assert code == 2
    assert 'was begun with posterior "sample", not "mean"' in err


def test_help_says_enough_to_use_it(build):
    code, out, _ = build("--help")
    assert code == 0
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", out))
    for option in ("--vae", "--posterior", "--max-side", "--split-val", "--batch-size"):
        assert option in options
    for word in ("torchrun", "failed.csv", "exit codes", "goes on where it was", "flux1"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 82


def test_help_loads_nothing_heavy():
    script = (
        "import sys\n"
        "from aligngemini.cli import main\n"
        "try: main(['build', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'PIL', 'rich', 'torch', 'diffusers'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_killed_run_goes_on(build, photos, taef2, tmp_path):
    out, whole = tmp_path / "set", tmp_path / "whole"
    journal = out / "journal" / "pairs-0.jsonl"
    options = ("--vae", taef2, "--device", "cpu", "--workers", 1)
    with subprocess.Popen(command(photos, "--out", out, *options)) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if journal.is_file() and journal.read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.002)
        process.kill()
    assert journal.read_bytes().count(b"\n") >= 2
    assert build(photos, "--out", out, *options)[0] == 0
    assert build(photos, "--out", whole, *options)[0] == 0
    first, second = pictures(out), pictures(whole)
    assert first.keys() == second.keys()
    for name, pixels in first.items():
        np.testing.assert_array_equal(pixels, second[name], err_msg=name)
    assert not list(out.rglob("*.partial"))


def test_full_disk_is_one_sentence_and_the_run_goes_on(build, photos, taef2, tmp_path):
    """A limit on the size of files stands in for the disk: the system call fails alike."""
    out = tmp_path / "set"
    large = tmp_path / "large.png"
    large.write_bytes(png(texture(200, 200)))
    arguments = (photos / "0.png", large, "--out", out, "--vae", taef2, "--workers", 1)
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (60_000, 60_000))
    run = subprocess.run(
        command(*arguments), preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr == (
        f"aligngemini build: {out} cannot be written: File too large; what is in it is kept, and "
        "the same command goes on from there\n"
    )
    assert not (out / "manifest.parquet").exists()
    assert len(pictures(out)) == 2  # of the small photo, and nothing half written
    assert not list(out.rglob("*.partial"))
    assert build(*arguments)[0] == 0
    assert len(read_manifest(out / "manifest.parquet")) == 4


def test_ctrl_c_is_exit_code_130(photos, taef2, tmp_path):
    out = tmp_path / "set"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(photos, "--out", out, "--vae", taef2), **pipes) as process:
        while process.poll() is None and not (out / "journal").is_dir():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)  # it may have been done
    assert "Traceback" not in err


def test_two_processes_share_the_work(build, photos, taef2, tmp_path):
    options = ("--vae", taef2, "--device", "cpu", "--workers", 1)
    out, alone = tmp_path / "set", tmp_path / "alone"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    run = subprocess.run(
        [*launch, "--module", *command(photos, "--out", out, *options)[2:]],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{out}: {PHOTOS} reconstructions of {PHOTOS} photos\n"
    journals = sorted(out.glob("journal/pairs-*.jsonl"))
    assert [len(path.read_text().splitlines()) for path in journals] == [PHOTOS // 2] * 2
    assert build(photos, "--out", alone, *options)[0] == 0
    rows = (read_manifest(folder / "manifest.parquet") for folder in (out, alone))
    assert [Path(row.path).name for row in next(rows)] == [Path(r.path).name for r in next(rows)]
    for name, pixels in pictures(alone).items():
        np.testing.assert_array_equal(pixels, pictures(out)[name], err_msg=name)
