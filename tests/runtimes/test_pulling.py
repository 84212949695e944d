"""What comes from the Hub is checked, installed whole or not at all."""

import json
import os
import subprocess
import sys

import pytest
from fixtures.classifiers import classifier_folder
from fixtures.dda_reference import DdaReference, save_checkpoint
from fixtures.experts import expert_folder
from fixtures.hub_server import COMMIT, turn_to
from huggingface_hub import constants

from aligngemini.branches.loading import load_pixel
from aligngemini.runtimes.folder import ModelError, open_folder, sha256_file
from aligngemini.runtimes.published import PUBLISHED
from aligngemini.runtimes.pulling import fetch_base, fetch_classifier, pull_model
from aligngemini.runtimes.pushing import push_model
from aligngemini.runtimes.store import installed_models

pytest_plugins = ["fixtures.hub_client"]

REPO, FILE = PUBLISHED["dda"].repo, PUBLISHED["dda"].file


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / FILE
    return save_checkpoint(path, DdaReference(depth=1))


@pytest.fixture
def published(hub, checkpoint):
    hub.repos[REPO] = {FILE: checkpoint.read_bytes(), "README.md": b"a card"}
    return hub


def left(home):
    """Files below the store, hidden ones too."""
    return [path for path in home.rglob("*") if path.is_file()] if home.exists() else []


def test_the_published_expert_is_pulled_once_and_its_origin_recorded(published, home, checkpoint):
    branch = load_pixel("dda", device="cpu", threads=1, allow_pull=True)
    source = open_folder("dda").source
    assert (source.repo, source.revision, source.file) == (REPO, COMMIT, FILE)
    assert source.sha256 == sha256_file(checkpoint)
    assert branch.model.startswith("dda@")
    assert {path.parent for path in left(home)} == {home / "dda"}  # the download is gone
    asked = len(published.requests)
    load_pixel("dda", device="cpu", threads=1, allow_pull=True)
    assert len(published.requests) == asked


def test_bytes_of_another_checksum_are_refused(published, home):
    published.declared[REPO, FILE] = "0" * 64
    with pytest.raises(ModelError, match="another SHA-256 than the Hub has of it"):
        pull_model("dda")
    assert left(home) == []


def test_a_file_that_ends_early_is_refused(published, home):
    published.cut[REPO, FILE] = 10_000
    with pytest.raises(ModelError, match=r"aligngemini models import DDA_ckpt.pth --name dda"):
        pull_model("dda")
    assert left(home) == []


def test_a_checkpoint_of_other_layers_is_refused(published, home):
    published.repos[REPO][FILE] = b"no checkpoint"
    with pytest.raises(ModelError, match="no PyTorch checkpoint"):
        pull_model("dda")
    assert left(home) == []


def test_what_is_not_there_is_said(hub, home, tmp_path):
    with pytest.raises(ModelError, match=f"the Hub has no {REPO}"):
        pull_model("dda")
    hub.repos["a/classifier"] = {"config.json": b"{}"}
    with pytest.raises(ModelError, match=r"if it is an image classifier, .* hf:a/classifier"):
        pull_model("a/classifier")
    with pytest.raises(ModelError, match="no such revision"):
        pull_model("a/classifier", revision="v9")
    with pytest.raises(ModelError, match="nothing to pull by the name nonesuch; known: dda"):
        pull_model("nonesuch")
    with pytest.raises(ModelError, match="no name of a repository"):
        pull_model("a b/c--d..")
    assert left(home) == []


def test_names_in_use_are_found_out_before_the_download(published, home):
    pull_model("dda")
    asked = len(published.requests)
    with pytest.raises(ModelError, match="dda is installed already"):
        pull_model("dda")
    with pytest.raises(ModelError, match="compact is a model that ships"):
        pull_model("dda", name="compact")
    with pytest.raises(ModelError, match="is no name for a model"):
        pull_model("dda", name="../up")
    assert len(published.requests) == asked


@pytest.mark.parametrize("why", ["offline mode", "no network"])
def test_without_the_hub_it_says_which_file_to_put_where(
    published,
    home,
    monkeypatch,
    why,
):
    if why == "offline mode":
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    else:
        turn_to("http://127.0.0.1:1", monkeypatch)
    with pytest.raises(ModelError) as raised:
        pull_model("dda")
    assert (
        "download DDA_ckpt.pth from https://huggingface.co/Junwei-Xi/Dual-Data-Alignment and run: "
        "aligngemini models import DDA_ckpt.pth --name dda" in str(raised.value)
    )
    assert left(home) == []


def test_a_model_folder_makes_the_round_trip(hub, home, tmp_path):
    folder = expert_folder(tmp_path / "mine")
    assert COMMIT in push_model(folder, "me/mine", private=True)
    assert hub.repos["me/mine"]["README.md"].endswith((folder / "card.md").read_bytes())
    hub.repos["me/mine"]["extra.py"] = b"not wanted"
    pulled = open_folder(pull_model("me/mine", name="theirs"))
    assert pulled.fingerprint == open_folder(folder).fingerprint
    assert (pulled.source.repo, pulled.source.revision) == ("me/mine", COMMIT)
    assert set(installed_models()) == {"theirs"}
    assert not (pulled.path / "extra.py").exists()
    assert load_pixel("theirs", device="cpu").model.startswith("theirs@")


def test_a_pulled_folder_has_to_match_its_own_hashes(hub, home, tmp_path):
    push_model(expert_folder(tmp_path / "mine"), "me/mine")
    settings = json.loads(hub.repos["me/mine"]["calibration.json"])
    hub.repos["me/mine"]["calibration.json"] = json.dumps({**settings, "threshold": 0.9}).encode()
    with pytest.raises(ModelError, match=r"calibration\.json does not match"):
        pull_model("me/mine")
    assert left(home) == []


def test_a_classifier_comes_from_the_hub_and_then_from_its_cache(hub, tmp_path, monkeypatch):
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repos["some/classifier"] = {**files, "onnx/model.onnx": b"not wanted"}
    from_hub = load_pixel("hf:some/classifier", device="cpu")
    assert from_hub.fingerprint == load_pixel(f"hf:{folder}", device="cpu").fingerprint
    assert from_hub.model == f"some/classifier@{from_hub.fingerprint}"
    assert not any("onnx" in request for request in hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_pixel("hf:some/classifier", device="cpu").model == from_hub.model
    with pytest.raises(ModelError, match=r"hf download other/one --local-dir DIR"):
        fetch_classifier("other/one")


def test_old_weights_are_taken_where_there_are_no_others(hub):
    hub.repos["old/one"] = {"config.json": b"{}", "pytorch_model.bin": b"w", "tf_model.h5": b"w"}
    folder = fetch_classifier("old/one")
    assert {path.name for path in folder.iterdir()} == {"config.json", "pytorch_model.bin"}
    with pytest.raises(ModelError, match="the Hub has no nobody/nothing"):
        fetch_classifier("nobody/nothing")


def test_a_base_model_comes_whole_into_the_cache(hub):
    weights = {"model-1.safetensors": b"w", "config.json": b"{}", "merges.txt": b"m"}
    extra = {"README.md": b"a card", "training_args.bin": b"p", "onnx/model.onnx": b"o"}
    hub.repos["Qwen/Qwen2.5-VL-3B-Instruct"] = weights | extra
    folder = fetch_base("qwen2.5-vl-3b")
    assert {path.name for path in folder.iterdir()} == set(weights)
    with pytest.raises(ModelError, match="the Hub has no nobody/nothing"):
        fetch_base("nobody/nothing")


FETCH = """
import sys, threading
from aligngemini.branches.loading import fetch_pixel
from aligngemini.runtimes.folder import ModelError

for spec in ("dda", "hf:some/classifier", "compact", "hf:no/body"):
    try:
        fetch_pixel(spec)
    except ModelError as error:
        print(error)
print(sorted({"huggingface_hub", "torch", "transformers"} & set(sys.modules)))
print(threading.active_count())
"""


def test_fetching_ahead_starts_no_thread_that_a_fork_would_miss(published, home, tmp_path):
    """Processes forked after PyTorch has computed something hang when they compute."""
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    published.repos["some/classifier"] = {p.name: p.read_bytes() for p in folder.iterdir()}
    env = {**os.environ, "HF_ENDPOINT": published.url, "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", FETCH], capture_output=True, text=True, check=True, env=env
    )
    no_body, modules, threads = done.stdout.splitlines()
    assert "the Hub has no no/body" in no_body
    assert (modules, threads) == ("[]", "1")
    assert done.stderr == ""  # no bars where nobody sees them
    assert open_folder("dda").source.repo == REPO


def test_loading_imports_no_client_of_the_hub():
    script = (
        "import sys\n"
        "import aligngemini.branches.loading, aligngemini.runtimes.pulling\n"
        "print(sorted({'huggingface_hub', 'torch', 'transformers'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
