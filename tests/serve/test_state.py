"""What the service says of itself, and what goes round every answer."""

import argparse
import re
from pathlib import Path

import pytest
from asking import LIMITS, ask, post
from fixtures.drawn import striped
from prometheus_client.parser import text_string_to_metric_families

from aligngemini.calibration import CalibratedBranch
from aligngemini.cli import detector_options
from aligngemini.cli.serve import _parser
from aligngemini.runtimes.folder import open_folder
from aligngemini.serve.facts import device_of, facts_of, set_explain
from aligngemini.serve.problems import IMAGE_STATUS


def metrics(app):
    text = ask(app, "GET", "/metrics").text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_models_say_what_judges_by_which_thresholds(app, options):
    folder = open_folder(options.pixel[0])
    answer = ask(app, "GET", "/v1/models").json()
    pixel, semantic, provenance = answer["branches"]
    assert pixel["model"] == f"brightness@{folder.fingerprint}"
    assert pixel["fingerprint"] == folder.fingerprint
    assert pixel["device"] == "cpu"
    assert pixel["threshold"] == folder.calibration.threshold
    assert pixel["false_alarm_rate"] == folder.calibration.false_alarm_rate
    assert semantic == {"name": "semantic", "skipped": "no vision-language model configured"}
    assert provenance["device"] is None
    assert answer["fusion"] == {"rule": "or"}
    assert answer["limits"]["files"] == LIMITS.files


def test_ready_says_where_each_worker_runs_each_model(app):
    answer = ask(app, "GET", "/readyz")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["workers"], found["of"]) == (1, 1)
    assert {"worker": 0, "name": "pixel", "device": "cpu"}.items() <= found["models"][0].items()


def test_without_a_worker_it_is_alive_but_not_ready(app, service, monkeypatch):
    monkeypatch.setattr(service.pool, "loaded", {})
    assert ask(app, "GET", "/healthz").status_code == 200
    for url in ("/readyz", "/v1/models"):
        answer = ask(app, "GET", url)
        assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
        assert answer.headers["retry-after"]


def test_metrics_count_requests_images_and_errors(app, picture):
    before = metrics(app)
    post(app, ("a.png", picture), ("b.png", b"broken"))
    post(app, ("a.png", b"broken"))
    after = metrics(app)

    def grown(name, **labels):
        key = (name, *sorted(labels.items()))
        return after[key] - before.get(key, 0)

    routed = {"method": "POST", "route": "/v1/detect"}
    assert grown("aligngemini_requests_total", **routed, status="200") == 1
    assert grown("aligngemini_requests_total", **routed, status="415") == 1
    assert grown("aligngemini_images_total", verdict="fake") == 1
    assert grown("aligngemini_images_total", verdict="none") == 2
    assert grown("aligngemini_image_errors_total", code="unsupported") == 2
    assert grown("aligngemini_branch_seconds_count", branch="pixel") == 1
    assert grown("aligngemini_request_seconds_count", route="/v1/detect") == 2
    assert after[("aligngemini_workers",)] == 1
    assert after[("aligngemini_queue",)] == 0


def test_paths_that_callers_invent_make_no_new_series(app):
    ask(app, "GET", "/before")
    before = metrics(app)
    for name in ("/one", "/v1/two", "/static/three"):
        assert ask(app, "GET", name).status_code == 404
    assert ask(app, "INVENTED", "/v1/detect").status_code == 405
    new = metrics(app).keys() - before.keys()
    assert not [key for key in new if any(word in str(key) for word in ("one", "two", "INVENTED"))]


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/v1/models", "/none", "/openapi.json"])
def test_every_answer_carries_the_policy(app, path):
    headers = ask(app, "GET", path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert len(headers["x-request-id"]) == 16


def test_the_page_is_there_and_nothing_beside_it(app):
    assert "<!doctype html>" in ask(app, "GET", "/").text.lower()
    assert ask(app, "GET", "/static/%2e%2e/app.py").status_code == 404
    assert ask(app, "GET", "/static/../app.py").status_code == 404


def test_other_pages_may_ask_only_where_that_is_allowed(app, with_settings):
    origin = {"Origin": "https://example.com"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in ask(app, "GET", "/healthz", headers=origin).headers
    allowing = with_settings(cors=("https://example.com",))
    allowed = ask(allowing, "OPTIONS", "/v1/detect", headers=asked).headers
    assert allowed["access-control-allow-origin"] == "https://example.com"
    other = {"Origin": "https://other.example"}
    refused = ask(allowing, "GET", "/healthz", headers=other).headers
    assert "access-control-allow-origin" not in refused


def test_every_route_is_described_with_an_example_of_what_it_takes(app):
    document = app.openapi()
    assert {"/v1/detect", "/v1/models", "/healthz", "/readyz", "/metrics"} <= document[
        "paths"
    ].keys()
    content = document["paths"]["/v1/detect"]["post"]["responses"]["200"]["content"]
    shown = content["application/json"]["example"]["results"][0]
    real = ask(app, "GET", "/v1/models").json()  # a fresh name for what the example abbreviates
    assert shown["branches"].keys() == {one["name"] for one in real["branches"]}


def test_the_example_is_shaped_like_an_answer(app, picture):
    document = app.openapi()
    content = document["paths"]["/v1/detect"]["post"]["responses"]["200"]["content"]
    shown = content["application/json"]["example"]["results"][0]
    (real,) = post(app, ("a.png", picture)).json()["results"]
    assert shown.keys() == real.keys()
    assert shown["words"].keys() == real["words"].keys()


class Part:
    def __init__(self, **parts):
        self.__dict__.update(parts)


def test_devices_are_found_wherever_a_branch_keeps_its_engine():
    engine = Part(device="cuda")
    assert device_of(Part(runtime=engine)) == "cuda"
    assert device_of(Part(classifier=engine)) == "cuda"
    assert device_of(Part(backend=Part(vlm=engine))) == "cuda"
    assert device_of(Part(backend=Part(endpoint="http://x"))) == "server"
    assert device_of(CalibratedBranch(Part(runtime=engine, name="pixel"), None)) == "cuda"
    assert device_of(Part()) is None


def test_reasons_are_switched_on_where_there_is_a_model_to_write_them():
    semantic = Part(name="semantic", explain=False)
    wrapped = Part(name="semantic", explain=False)
    branches = [Part(name="pixel"), semantic, CalibratedBranch(wrapped, None)]
    set_explain(Part(branches=branches), on=True)
    assert semantic.explain
    assert wrapped.explain
    set_explain(Part(branches=branches), on=False)
    assert not semantic.explain


def test_facts_are_those_of_a_calibrated_detector(options, monkeypatch):
    detector = options.load(1)
    assert facts_of(detector, options)["branches"][0]["threshold"] == 0.7
    assert detector.judge(striped(64, 64, 200)).branches["pixel"].threshold == 0.7


ROOT = Path(__file__).resolve().parents[2]


def test_every_code_is_described_with_its_status():
    text = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text() for path in (ROOT / "src/aligngemini/serve").glob("*.py"))
    refusals = re.findall(r'Refusal\(\s*(\d+),\s*"([a-z-]+)"', sources)
    assert len(refusals) > 10
    for status, code in {*refusals, *((str(s), c) for c, s in IMAGE_STATUS.items())}:
        rows = [line for line in text.splitlines() if line.startswith(f"| {status}")]
        assert any(f"`{code}`" in row for row in rows), (status, code)


def test_every_option_of_its_own_is_described():
    text = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
    shared = argparse.ArgumentParser()
    detector_options.add_models(shared)
    detector_options.add_running(shared)
    known = {option for action in shared._actions for option in action.option_strings}
    options = {option for action in _parser()._actions for option in action.option_strings}
    own = options - known - {"-h", "--help"}
    assert len(own) > 10
    assert not [option for option in sorted(own) if f"`{option}" not in text]
