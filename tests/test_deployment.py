"""The container files say what the service really takes; nothing is built here."""

import re
import shlex
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml

from aligngemini.cli import serve

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KUBERNETES = list(yaml.safe_load_all((ROOT / "examples/kubernetes/serve.yaml").read_text()))
CONTAINER = KUBERNETES[0]["spec"]["template"]["spec"]["containers"][0]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STARTS = [
    shlex.split(re.sub(r'[\[\],"]', " ", line))
    for line in re.findall(r"^CMD (.*)", DOCKERFILE, re.M)
]


def routes():
    from aligngemini.serve.app import create_app
    from aligngemini.serve.service import Service
    from aligngemini.serve.settings import ServiceSettings

    return set(create_app(Service(ServiceSettings())).openapi()["paths"])


@pytest.mark.parametrize(
    "command", [COMPOSE["services"]["aligngemini"]["command"], CONTAINER["args"], *STARTS]
)
def test_the_command_is_one_that_serve_takes(command):
    assert command[0] == "serve"
    given = serve._parser().parse_args(command[1:])
    assert given.host == "0.0.0.0"  # or nothing outside the container reaches it


def test_every_extra_that_the_images_install_exists():
    extras = metadata("aligngemini").get_all("Provides-Extra")
    named = {
        name for found in re.findall(r"\.\[([\w,]+)\]", DOCKERFILE) for name in found.split(",")
    }
    assert named
    assert named <= set(extras)


def test_probes_ask_what_the_service_answers():
    probes = {CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    checked = set(re.findall(r"http://127\.0\.0\.1:8000(/\w+)", DOCKERFILE))
    assert checked | probes <= routes()


def test_ports_meet():
    port = CONTAINER["ports"][0]["containerPort"]
    service = next(one for one in KUBERNETES if one["kind"] == "Service")
    assert port == serve._parser().parse_args([]).port == service["spec"]["ports"][0]["port"]
    assert service["spec"]["selector"] == KUBERNETES[0]["spec"]["template"]["metadata"]["labels"]
