"""A model behind a URL: the in-process scores, and every way in which a server fails."""

import base64
import io
import json
import threading

import numpy as np
import pytest
from fixtures.vlm_answers import BRIGHT, DARK, shade
from fixtures.vlm_server import VlmServer
from PIL import Image as PILImage

from aligngemini.branches.semantic import LABEL_ONLY, SemanticBranch
from aligngemini.branches.semantic.asking import chat_question, decision_config, picture
from aligngemini.branches.semantic.loading import load_semantic
from aligngemini.branches.semantic.server import ServerBackend
from aligngemini.evidence import label_for
from aligngemini.images.item import Image
from aligngemini.models.qwen import load_processor
from aligngemini.prompts import Prompt
from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.vlm import chat_text

LARGEST = 16 * 784
SIZES = [(70, 90), (140, 100), (300, 400), (64, 200)]


@pytest.fixture
def server(answering):
    with VlmServer(answering) as server:
        yield server


@pytest.fixture(scope="module")
def images():
    levels = (DARK, BRIGHT, DARK, BRIGHT)
    pixels = [shade(level, *size, seed=7) for level, size in zip(levels, SIZES, strict=True)]
    return [Image(one) for one in pixels]


@pytest.fixture(scope="module")
def in_process(answering, images):
    return load_semantic(answering, device="cpu", max_pixels=LARGEST).judge(images)


def branch(server, **settings):
    return SemanticBranch(ServerBackend(server.url, max_pixels=LARGEST, **settings))


def test_the_scores_are_those_of_the_model_in_process(server, images, in_process):
    evidence = load_semantic(server.url, max_pixels=LARGEST).judge(images)
    assert [one.verdict for one in evidence] == ["fake", "real", "fake", "real"]
    for ours, theirs in zip(evidence, in_process, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)
        assert ours.verdict == theirs.verdict


def test_the_server_is_sent_what_the_processor_would_make_of_the_image(answering):
    image = np.random.default_rng(0).integers(0, 256, (301, 437, 3), dtype=np.uint8)
    sent = PILImage.open(io.BytesIO(base64.b64decode(picture(image, LARGEST))))
    processor = load_processor(answering, max_pixels=LARGEST).image_processor
    ours = processor(images=[sent], return_tensors="np")
    theirs = processor(images=[PILImage.fromarray(image)], return_tensors="np")
    np.testing.assert_array_equal(ours["pixel_values"], theirs["pixel_values"])


def test_the_answers_are_such_as_the_official_client_reads(server, images):
    openai = pytest.importorskip("openai", reason="the official client is not installed")
    from openai.types.chat import ChatCompletion

    backend = ServerBackend(server.url, max_pixels=LARGEST)
    question = chat_question(picture(images[0].pixels, LARGEST), Prompt())
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": "This image is"},
    ]
    client = openai.OpenAI(base_url=server.url, api_key="none")
    answer = client.chat.completions.create(
        model="tiny",
        messages=messages,
        max_tokens=1,
        temperature=0,
        logprobs=True,
        top_logprobs=20,
        extra_body={"continue_final_message": True, "add_generation_prompt": False},
    )
    strict = ChatCompletion.model_validate_json(answer.model_dump_json(), strict=True)
    listed = strict.choices[0].logprobs.content[0].top_logprobs
    assert len(listed) == 20
    top = {entry.token: entry.logprob for entry in listed}
    (read,) = backend.answer([images[0].pixels])
    assert read.log_odds == pytest.approx(top[" fake"] - top[" real"], abs=1e-4)


def test_system_one_gives_the_same_scores_with_our_settings(server, images, in_process):
    decision = pytest.importorskip("transformers.decision", reason="transformers is too old")
    chat = chat_text(server.processor, Prompt())
    server.decisions = decision.DecisionConfig(**decision_config(Prompt(), chat))
    server.knows_logprobs = False
    judge = load_semantic(f"{server.url}/systemone#tiny", explain=True, max_pixels=LARGEST)
    assert judge.fingerprint != load_semantic(server.url, max_pixels=LARGEST).fingerprint
    for ours, theirs in zip(judge.judge(images), in_process, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)
        assert ours.remark is None
        assert ours.explanation


def test_system_one_is_not_taken_for_granted(server):
    with pytest.raises(ModelError, match="404"):
        load_semantic(f"{server.url}/systemone#tiny")


@pytest.mark.parametrize("strict", [False, True], ids=["ignores logprobs", "refuses the fields"])
def test_without_probabilities_there_is_a_label_and_a_word_about_it(
    server, images, in_process, strict
):
    server.knows_logprobs, server.strict = False, strict
    for ours, theirs in zip(branch(server).judge(images), in_process, strict=True):
        assert (ours.verdict, ours.score, ours.remark) == (theirs.verdict, None, LABEL_ONLY)
        assert ours.error is None


@pytest.mark.parametrize("knows", [True, False], ids=["begun for it", "in its own answer"])
def test_reasons_come_from_the_server_too(answering, server, images, knows):
    server.knows_logprobs = knows
    settings = {"explain": True, "max_pixels": LARGEST}
    here = load_semantic(answering, device="cpu", **settings).judge(images[:2])
    there = load_semantic(server.url, **settings).judge(images[:2])
    assert [one.explanation for one in there] == [one.explanation for one in here]
    assert "dark" in there[0].explanation
    assert "bright" in there[1].explanation


def test_a_word_out_of_the_list_counts_as_the_last_of_it(server, images, monkeypatch):
    backend = ServerBackend(server.url, max_pixels=LARGEST)
    entries = [{"token": t, "logprob": v} for t, v in ((" fake", -0.1), (" a", -3.0), (" f", -9.0))]
    choice = {"logprobs": {"content": [{"top_logprobs": entries}]}}
    monkeypatch.setattr(backend, "_choice", lambda *_, **__: choice)
    assert backend.answer([images[0].pixels])[0].log_odds == pytest.approx(-0.1 + 9.0)


def test_a_model_that_says_neither_word_is_asked_for_its_verdict(server, images):
    backend = ServerBackend(server.url, prompt=Prompt(fake="This is odd.", real="This is fine."))
    (answer,) = backend.answer([images[0].pixels])
    assert answer.code == "unavailable"
    assert "gives no verdict; it says 'This image is" in answer.message


def test_a_busy_server_is_asked_again(server, images, in_process):
    judge = branch(server)
    server.busy = 2
    (evidence,) = judge.judge(images[:1])
    assert evidence.score == pytest.approx(in_process[0].score, abs=1e-3)
    server.busy = 10
    (evidence,) = judge.judge(images[:1])
    assert evidence.error.code == "unavailable"
    assert "429" in evidence.error.message
    assert evidence.verdict is None
    assert server.busy == 6, "four tries"


def test_no_more_requests_at_a_time_than_allowed(server, images):
    judge = branch(server, concurrency=2)
    server.delay = 0.05
    evidence = judge.judge(images * 3)
    assert all(one.error is None for one in evidence)
    assert server.most_at_once == 2


def test_a_server_that_dies_costs_the_images_it_had_not_judged(answering, images):
    with VlmServer(answering) as server:
        judge = branch(server)
        before = judge.judge(images[:2])
    after = judge.judge(images[2:])
    assert [one.verdict for one in before] == ["fake", "real"]
    for one in after:
        assert (one.verdict, one.score) == (None, None)
        assert one.error.code == "unavailable"
        assert "cannot be reached" in one.error.message


@pytest.mark.parametrize(
    "garbage",
    [b"<html>", b"[]", b"\xff\xfe", b'{"choices": []}', b'{"choices": [{"message": 3}]}', b"null"],
)
def test_garbage_is_an_error_of_each_image(server, images, garbage):
    judge = branch(server)
    server.broken = garbage
    for one in judge.judge(images[:2]):
        assert one.error.code == "unavailable"
        assert one.verdict is None


def test_a_slow_server_runs_out_of_time(server, images):
    judge = branch(server, timeout=0.2)
    server.delay = 1.0
    (evidence,) = judge.judge(images[:1])
    assert evidence.error.code == "timeout"


def test_the_key_goes_to_the_server_and_nowhere_else(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "second")
    monkeypatch.setenv("ALIGNGEMINI_API_KEY", "first")
    backend = ServerBackend(server.url)
    assert server.headers["Authorization"] == "Bearer first"
    assert "first" not in json.dumps(vars(backend), default=str)


def test_a_redirection_is_not_followed(server, images):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", f"{server.url}/models")
            self.end_headers()

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ModelError, match="302"):
            ServerBackend(f"http://127.0.0.1:{http.server_port}/v1")
    finally:
        http.shutdown()
        http.server_close()
    assert not server.requests


def test_what_is_wrong_with_the_url_is_said(answering, server):
    with pytest.raises(ModelError, match="no URL of a server"):
        load_semantic("ftp://somewhere/v1")
    with pytest.raises(ModelError, match="would stand in every record"):
        load_semantic("http://me:secret@localhost/v1")
    with pytest.raises(ModelError, match="cannot be reached"):
        load_semantic("http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="does not exist"):
        load_semantic(f"{server.url}#other")
    with (
        VlmServer(answering, names=("one", "two")) as several,
        pytest.raises(ModelError, match=r"one, two: name one, as http.*#NAME"),
    ):
        load_semantic(several.url)


def test_records_name_the_model_and_what_it_is_asked(server):
    named = load_semantic(f"{server.url}#tiny")
    assert named.model.startswith("tiny@")
    assert named.fingerprint == load_semantic(server.url).fingerprint
    assert named.fingerprint != load_semantic(server.url, max_pixels=LARGEST).fingerprint


def test_labels_of_the_score_need_no_calibration(server, images):
    for one in branch(server).judge(images):
        assert (one.threshold, one.threshold_real, one.false_alarm_rate) == (0.5, 0.5, None)
        assert one.verdict == label_for(one.score, 0.5, 0.5)
