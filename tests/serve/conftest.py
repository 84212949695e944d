"""A service over a model whose answer can be worked out by hand."""

from dataclasses import replace

import pytest
from asking import LIMITS
from fixtures.drawn import png, striped
from fixtures.models import brightness_folder

from aligngemini.runner import DetectorOptions
from aligngemini.serve.app import create_app
from aligngemini.serve.service import Service
from aligngemini.serve.settings import ServiceSettings


@pytest.fixture(scope="session")
def options(tmp_path_factory):
    """A detector that loads fast: the brighter, the more fake."""
    folder = brightness_folder(tmp_path_factory.mktemp("models") / "brightness")
    return DetectorOptions(pixel=(str(folder),), gamma="off")


@pytest.fixture(scope="session")
def service(options):
    """Started; no test may change it."""
    service = Service(ServiceSettings(options, limits=LIMITS, timeout=20, request_timeout=30))
    service.start()
    yield service
    service.close()


@pytest.fixture(scope="session")
def app(service):
    return create_app(service)


@pytest.fixture
def with_settings(service, monkeypatch):
    """An application over the same workers with other settings."""

    def make(fetcher=None, jobs=None, **settings):
        monkeypatch.setattr(service, "settings", replace(service.settings, **settings))
        return create_app(service, fetcher=fetcher, jobs=jobs)

    return make


@pytest.fixture(scope="session")
def picture():
    """A file that can be judged."""
    return png(striped(96, 96, 200))
