"""A vision-language model behind the service: its score always, its reasons where asked for."""

import pytest
from asking import post
from fixtures.drawn import png

from aligngemini.runner import DetectorOptions
from aligngemini.serve.app import create_app
from aligngemini.serve.service import Service
from aligngemini.serve.settings import ServiceSettings

vlm_answers = pytest.importorskip("fixtures.vlm_answers", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    model = vlm_answers.answering_vlm_folder(tmp_path_factory.mktemp("models") / "answering")
    service = Service(
        ServiceSettings(DetectorOptions(pixel=("off",), semantic=str(model), gamma="off"))
    )
    service.start()
    yield create_app(service)
    service.close()


def test_reasons_come_where_they_are_asked_for(app):
    files = [
        (name, png(vlm_answers.shade(level)))
        for name, level in (("dark.png", vlm_answers.DARK), ("bright.png", vlm_answers.BRIGHT))
    ]
    plain = post(app, *files).json()["results"]
    assert [one["verdict"] for one in plain] == ["fake", "real"]
    assert not any("explanation" in one["branches"]["semantic"] for one in plain)
    explained = post(app, *files, url="/v1/detect?explain=true").json()["results"]
    for one, before, word in zip(explained, plain, ("dark", "bright"), strict=True):
        assert word in one["branches"]["semantic"]["explanation"]
        assert one["score"] == before["score"]
    again = post(app, *files).json()["results"]
    assert not any("explanation" in one["branches"]["semantic"] for one in again)
