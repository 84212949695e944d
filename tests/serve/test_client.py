"""The client: the detector's verdicts, by way of a service."""

import asyncio
import inspect
import time

import httpx
import pytest
from asking import ask
from fixtures.drawn import png, striped

from aligngemini import AsyncClient, Client, ServiceError
from aligngemini.client.exchange import Waiting
from aligngemini.images.item import ImageError
from aligngemini.serve.app import create_app
from aligngemini.serve.jobs import Jobs
from aligngemini.serve.keys import KeyRing


class Carrier(httpx.MockTransport, httpx.AsyncBaseTransport):
    """Carries the requests of both clients to an application, or gives answers of its own first."""

    def __init__(self, app, *answers):
        super().__init__(self._handle)
        self.app = app
        self.answers = list(answers)
        self.requests = 0

    def _handle(self, request):
        self.requests += 1
        content = {"content": request.content, "headers": request.headers}
        answer = (
            self.answers.pop(0)
            if self.answers
            else ask(self.app, request.method, str(request.url), **content)
        )
        # A fresh one, for an answer is of use to one client only.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def handle_async_request(self, request):
        await request.aread()
        return await asyncio.to_thread(self._handle, request)


class Both:
    """Calls both clients alike, and makes sure that they answer alike."""

    def __init__(self, carrier, **settings):
        self.carrier, self.settings = carrier, settings

    def __call__(self, method, *arguments, **more):
        answers = list(self.carrier.answers)
        with Client("http://service", transport=self.carrier, **self.settings) as client:
            found = outcome(lambda: getattr(client, method)(*arguments, **more))
        self.carrier.answers = answers

        async def again():
            async with AsyncClient(
                "http://service", transport=self.carrier, **self.settings
            ) as client:
                return await getattr(client, method)(*arguments, **more)

        same = outcome(lambda: asyncio.run(again()))
        assert str(same) == str(found)
        if isinstance(found, Exception):
            raise found
        return found


def outcome(call):
    try:
        return call()
    except (ServiceError, ImageError) as error:
        return error


@pytest.fixture(autouse=True)
def slept(monkeypatch):
    """Nobody waits in a test; what would have been waited for is kept."""
    seconds = []

    async def sleep(wait):
        seconds.append(wait)

    monkeypatch.setattr(time, "sleep", seconds.append)
    monkeypatch.setattr("aligngemini.client.asynchronous.asyncio.sleep", sleep)
    return seconds


def busy(status=503, **headers):
    return httpx.Response(status, headers=headers, json={"code": "busy", "detail": "later"})


def test_verdicts_are_those_of_the_detector(app, options, tmp_path, picture):
    good, broken = tmp_path / "good.png", tmp_path / "broken.png"
    good.write_bytes(picture)
    broken.write_bytes(picture[:80])
    images = [good, picture, str(broken), tmp_path / "none.png"]
    detector = options.load(1)
    found = Both(Carrier(app))("judge_batch", images, at_a_time=3)
    for verdict, wanted in zip(found, detector.judge_batch(images), strict=True):
        assert (verdict.path, verdict.error) == (wanted.path, wanted.error)
        assert (verdict.verdict, verdict.score) == (wanted.verdict, wanted.score)
        assert verdict.branches.keys() == wanted.branches.keys()
        if wanted.error is None:
            assert verdict.id == wanted.id


def test_one_image_alone_is_a_verdict_even_if_it_cannot_be_judged(app):
    verdict = Both(Carrier(app))("judge", b"no image")
    assert verdict.error.code == "unsupported"


def test_what_cannot_be_read_is_not_asked_for(app, tmp_path):
    carrier = Carrier(app)
    verdict = Both(carrier)("judge", tmp_path / "none.png")
    assert verdict.error.code == "not-found"
    assert carrier.requests == 0


def test_many_images_go_in_several_requests(app, picture):
    carrier = Carrier(app)
    with Client("http://service", transport=carrier) as client:
        assert len(client.judge_batch((picture for _ in range(5)), at_a_time=2)) == 5
    assert carrier.requests == 3


def test_a_busy_service_is_asked_again_when_it_says(app, picture, slept):
    carrier = Carrier(app, busy(**{"Retry-After": "7"}), busy(429), busy())
    verdict = Both(carrier)("judge", picture)
    assert verdict.verdict == "fake"
    first, second, third, *_ = slept
    assert 7 <= first <= 8.75
    assert 2 <= second <= 2.5
    assert 4 <= third <= 5


def test_patience_has_an_end(app, picture):
    carrier = Carrier(app, *[busy()] * 20)
    with pytest.raises(ServiceError, match="later") as caught:
        Both(carrier, tries=2)("judge", picture)
    assert (caught.value.status, caught.value.code) == (503, "busy")
    assert carrier.requests == 6  # three of each client
    assert Waiting(5, longest=10).seconds(busy(**{"Retry-After": "99999"}), 1) <= 12.5


def test_a_key_is_sent(with_settings, picture, tmp_path):
    path = tmp_path / "keys"
    path.write_text("desk correct-horse-battery\n")
    carrier = Carrier(with_settings(keys=KeyRing.read(path)))
    assert Both(carrier, key="correct-horse-battery")("judge", picture).verdict == "fake"
    with pytest.raises(ServiceError) as caught:
        Both(carrier)("judge", picture)
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(200, text="<html>"), "no-record"),
        (httpx.Response(200, json=[]), "no-record"),
        (httpx.Response(200, json={"results": []}), "no-record"),
        (httpx.Response(200, json={"results": [{"verdict": "maybe"}]}), "no-record"),
        (httpx.Response(502, text="bad gateway"), "http"),
        (
            httpx.Response(413, json={"code": "request-too-large", "detail": "x"}),
            "request-too-large",
        ),
    ],
)
def test_answers_without_verdicts_are_errors_with_a_code(app, picture, answer, code):
    with pytest.raises(ServiceError) as caught:
        Both(Carrier(app, answer))("judge", picture)
    assert caught.value.code == code


def test_no_answer_is_an_error_too(picture):
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServiceError) as caught:
        client.judge(picture)
    assert (caught.value.status, caught.value.code) == (0, "no-answer")


def test_models(app):
    assert Both(Carrier(app))("models")["branches"][0]["name"] == "pixel"


def test_jobs(service, tmp_path):
    jobs = Jobs(service, tmp_path / "jobs")
    carrier = Carrier(create_app(service, jobs=jobs))
    images = [png(striped(64, 64, 20 * k + 20)) for k in range(5)]
    jobs.start()
    try:
        with Client("http://service", transport=carrier) as client:
            job = client.start_job(images)
            deadline = time.monotonic() + 30
            while client.job(job)["state"] != "finished":
                assert time.monotonic() < deadline
            verdicts = list(client.job_results(job))
            with pytest.raises(ImageError, match="no such file"):
                client.start_job([tmp_path / "none.png"])
            with pytest.raises(ServiceError, match="no such job"):
                list(client.job_results("0" * 32))

        async def again():
            async with AsyncClient("http://service", transport=carrier) as client:
                return [verdict async for verdict in client.job_results(job)]

        assert asyncio.run(again()) == verdicts
    finally:
        jobs.close()
    assert [verdict.score for verdict in verdicts] == sorted(verdict.score for verdict in verdicts)


def test_both_clients_have_the_same_methods():
    def methods(kind):
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in vars(kind).items()
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)
