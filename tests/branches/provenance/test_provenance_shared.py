"""The development data: what its manifest says of metadata is found, and no photo is called AI."""

import csv

import pytest
from fixtures.metadata import judge
from PIL import Image as PILImage
from PIL.ExifTags import IFD, Base

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def judged(shared_data):
    """Manifest row and evidence of every file but the hostile ones, by path."""
    with (shared_data / "manifest.csv").open(encoding="utf-8", errors="replace") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] != "hostile"]
    return {row["path"]: (row, judge((shared_data / row["path"]).read_bytes())) for row in rows}


def kinds(evidence, **wanted) -> set[str]:
    return {
        signal.kind
        for signal in evidence.signals
        if all(getattr(signal, name) == value for name, value in wanted.items())
    }


def test_nothing_unsigned_gives_a_verdict(judged):
    # No file here carries a signed claim of AI.
    assert {path for path, (_, evidence) in judged.items() if evidence.verdict} == set()


def test_files_with_credentials_have_a_c2pa_signal(judged):
    flagged = {path for path, (row, _) in judged.items() if "c2pa" in row["flags"]}
    missed = {path for path in flagged if "c2pa" not in kinds(judged[path][1])}
    assert flagged
    assert missed == set()


@pytest.mark.parametrize(
    ("key", "kind"), [("parameters", "stable-diffusion"), ("prompt|workflow", "comfyui")]
)
def test_files_with_generation_settings_have_their_signal(judged, key, kind):
    flagged = {path for path, (row, _) in judged.items() if row["meta_keys"] == key}
    assert flagged
    assert {
        p for p in flagged if kind not in kinds(judged[p][1], state="hint", claim="ai")
    } == set()


def test_cameras_are_hinted(judged, shared_data):
    flagged = {path for path, (row, _) in judged.items() if row["camera"]}
    missed = {path for path in flagged if "exif" not in kinds(judged[path][1], claim="camera")}
    assert flagged
    for path in missed:  # a maker and a model, and no exposure
        with PILImage.open(shared_data / path) as image:
            details = image.getexif().get_ifd(IFD.Exif)
        assert not {Base.ExposureTime, Base.FNumber, Base.ISOSpeedRatings} & set(details)


def test_no_photo_is_called_ai(judged):
    accused = {
        path: evidence.signals
        for path, (row, evidence) in judged.items()
        if row["label"] == "real" and kinds(evidence, claim="ai")
    }
    assert accused == {}


def test_states_of_the_c2pa_samples(judged):
    def state(name):
        evidence = judged[f"provenance/c2pa-rs/{name}"][1]
        return [signal.state for signal in evidence.signals if signal.kind == "c2pa"]

    assert state("fixtures__C.jpg") == ["signed-untrusted"]
    assert state("fixtures__XCA.jpg") == ["invalid"]
    assert state("fixtures__E-sig-CA.jpg") == ["invalid"]
    assert state("fixtures__cloud.jpg") == ["unreadable"]
    assert state("fixtures__libpng-test_with_url.png") == ["unreadable"]
    assert state("fixtures__libpng-test.png") == []
    assert state("fixtures__update_manifest.jpg") == ["signed-untrusted"] * 2
