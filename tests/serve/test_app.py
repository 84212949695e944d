"""What the service answers to images."""

import asyncio
import base64
import io
import json
import logging
from concurrent.futures import Future

import httpx
import pytest
from asking import LIMITS, ask, post, without_times
from fixtures.drawn import flat, png, striped, texture
from PIL import Image as PILImage

from aligngemini.evidence import Problem
from aligngemini.record_id import record_id
from aligngemini.serve import errors
from aligngemini.serve.fetch import Fetcher
from aligngemini.serve.keys import KeyRing
from aligngemini.serve.problems import IMAGE_STATUS

SECRET = "correct-horse-battery"


def opened(link, kind):
    """The picture in a data URL."""
    head, _, data = link.partition(",")
    assert head == f"data:{kind};base64"
    return PILImage.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture(scope="module")
def detector(options):
    return options.load(1)


def test_records_are_those_of_the_detector_in_the_order_of_the_files(app, detector, picture):
    files = [("b.png", picture), ("broken.png", picture[:90]), ("a.png", png(texture(80, 120)))]
    answer = post(app, *files)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [one["path"] for one in results] == ["b.png", "broken.png", "a.png"]
    for result, (name, data) in zip(results, files, strict=True):
        record = detector.judge(data).to_dict() | {"path": name}
        assert without_times(result) | without_times(record) == without_times(result)


def test_a_result_says_in_words_what_it_means(app, picture):
    (result,) = post(app, ("a.png", picture)).json()["results"]
    assert result["words"]["headline"] == "signs of AI generation"
    assert result["words"]["branches"]["pixel"]["title"] == "Pixels"
    assert "above 0.70" in result["words"]["branches"]["pixel"]["text"]
    assert "1 % of held-out photos" in result["words"]["promise"]
    assert any("no proof" in line for line in result["words"]["explanation"])


def test_the_id_of_a_result_is_that_of_its_record(app, picture):
    url = "/v1/detect?previews=true&heatmaps=true"
    (result,) = post(app, ("a.png", picture), url=url).json()["results"]
    assert record_id(result) == result["id"]
    assert record_id(result | {"score": 0.1}) != result["id"]


def test_pictures_come_when_asked_for_and_only_then(app):
    half = striped(128, 128, 60)
    half[:, 64:] = striped(128, 64, 240)
    url = "/v1/detect?previews=true&heatmaps=true"
    (result,) = post(app, ("a.png", png(half)), url=url).json()["results"]
    assert opened(result["preview"], "image/jpeg").size == (128, 128)
    heatmap = opened(result["heatmap"], "image/png").convert("RGBA").resize((128, 128))
    cold, hot = (heatmap.getpixel((x, 64))[3] for x in (32, 96))
    assert cold == 0  # clear where cold
    assert hot > 100
    assert result["maps"] == {}
    (plain,) = post(app, ("a.png", png(half))).json()["results"]
    assert not {"preview", "heatmap", "maps"} & plain.keys()


def test_a_report_is_the_page_of_the_command_line(app, picture):
    answer = post(
        app, ("a.png", picture), ("broken.png", b"GIF89a"), headers={"Accept": "text/html"}
    )
    assert answer.headers["content-type"].startswith("text/html")
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.count("a.png") >= 1
    assert "broken.png" in answer.text
    assert "data:image/jpeg" in answer.text


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 422, "empty"),
        (b"no image", 415, "unsupported"),
        (b"<svg/>", 415, "unsupported"),
        (png(flat(96, 96, 9))[:60], 422, "truncated"),
        (png(flat(8, 8, 9)), 422, "too-small"),
        (b"x" * (LIMITS.file_bytes + 1), 413, "too-large"),
    ],
)
def test_one_image_alone_that_cannot_be_judged_is_a_problem_with_its_record(
    app, data, status, code
):
    answer = post(app, ("a.png", data))
    problem = answer.json()
    assert answer.status_code == status == problem["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == code == problem["record"]["error"]["code"]
    assert problem["record"]["path"] == "a.png"
    assert problem["type"].endswith(f":{code}")
    assert problem["detail"] == problem["record"]["error"]["message"]


def test_every_code_of_a_record_has_a_status_that_is_documented(app):
    documented = app.openapi()["paths"]["/v1/detect"]["post"]["responses"]
    assert {str(status) for status in IMAGE_STATUS.values()} <= documented.keys()


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"files": [("file", ("a", b"1"))] * 5}, 413, "too-many-files"),
        ({"files": {"other": ("a", b"1")}}, 400, "no-file"),
        ({"data": {"file": "no file"}}, 400, "bad-request"),
        ({"content": b"x", "headers": {"Content-Type": "image/png"}}, 400, "bad-request"),
        ({"json": {"urls": ["http://a.b/"]}}, 403, "urls-off"),
        ({"files": {"file": b"1"}, "params": {"heatmaps": "perhaps"}}, 400, "bad-request"),
    ],
)
def test_requests_that_cannot_be_understood(app, settings, status, code):
    answer = ask(app, "POST", "/v1/detect", **settings)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_beyond_the_limit_is_refused_while_it_comes(app, service):
    async def endless():
        yield _form(b"")[0][:200]
        while True:
            yield b"x" * 65536

    headers = {"Content-Type": _form(b"")[1].decode()}
    answer = ask(app, "POST", "/v1/detect", content=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "request-too-large")
    assert "aligngemini_held_bytes 0.0" in service.metrics.text().decode()


def test_no_more_is_taken_than_memory_is_set_aside_for(with_settings, service, picture):
    app = with_settings(held_bytes=len(picture) // 2)
    answer = post(app, ("a.png", picture))
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert "aligngemini_held_bytes 0.0" in service.metrics.text().decode()


def test_a_full_queue_refuses_before_it_reads(app, service, monkeypatch):
    read = 0

    async def body():
        nonlocal read
        read += 1
        yield b""

    monkeypatch.setattr(service.pool, "capacity", 0)
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Expect": "100-continue"}
    answer = ask(app, "POST", "/v1/detect", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert read == 0


def test_an_upload_that_stalls_is_given_up(with_settings):
    async def stalling():
        yield b"--x\r\n"
        await asyncio.Event().wait()

    app = with_settings(request_timeout=0.2)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = ask(app, "POST", "/v1/detect", content=stalling(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (408, "too-slow")


def test_slow_uploads_keep_nobody_out(app, service, picture, monkeypatch):
    monkeypatch.setattr(service.pool, "capacity", 2)
    body, content_type = _form(picture)
    headers = {"Content-Type": content_type.decode()}
    arrived = 0

    async def scenario():
        release = asyncio.Event()

        async def slow():
            nonlocal arrived
            arrived += 1
            yield body[:100]
            await release.wait()
            yield body[100:]

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

            def send(content):
                return client.post("/v1/detect", content=content, headers=headers)

            waiting = [asyncio.ensure_future(send(slow())) for _ in range(5)]
            while arrived < 5:
                await asyncio.sleep(0.01)
            quick = await send(body)
            release.set()
            return [quick, *await asyncio.gather(*waiting)]

    quick, *others = asyncio.run(scenario())
    assert quick.status_code == 200
    assert {answer.status_code for answer in others} <= {200, 503}


def test_a_caller_who_hangs_up_takes_nobodys_time(app, service, picture, monkeypatch):
    """The request is cancelled while its image waits, so nothing is judged."""
    submitted = []
    real = service.pool.submit

    def submit(items):
        futures = real([], background=False) + [_Never() for _ in items]
        submitted.extend(futures)
        return futures

    monkeypatch.setattr(service.pool, "submit", submit)
    body, content_type = _form(picture)
    messages = [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]
    scope = {
        **{"type": "http", "method": "POST", "path": "/v1/detect", "query_string": b""},
        **{"headers": [(b"content-type", content_type)], "asgi": {}, "http_version": "1.1"},
        **{"scheme": "http", "server": ("x", 80), "client": ("y", 1), "root_path": ""},
    }
    sent = []

    async def receive():
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, receive, send), 10))
    assert sent[0]["status"] == 499
    assert all(future.cancelled() for future in submitted)


def test_a_refusal_waits_for_nothing_once_the_body_is_read(app, picture, monkeypatch):
    monkeypatch.setattr(errors, "DRAINED_SECONDS", 3600)
    assert post(app).status_code == 400
    assert ask(app, "POST", "/v1/models", content=b"x").status_code == 405


def test_what_is_late_is_a_record_and_the_rest_stands(
    app, service, picture, monkeypatch, with_settings
):
    real = service.pool.submit
    monkeypatch.setattr(service.pool, "submit", lambda items: [*real(items[:1]), _Never()])
    app = with_settings(request_timeout=3.0)
    first, late = post(app, ("a.png", picture), ("b.png", picture)).json()["results"]
    assert first["error"] is None
    assert late["error"]["code"] == "timeout"


@pytest.mark.parametrize("code", ["crashed", "timeout", "internal"])
def test_what_a_worker_is_lost_over_is_said(app, service, picture, monkeypatch, code):
    failed = _Never()
    failed.set_result(Problem(code, "it was lost"))
    monkeypatch.setattr(service.pool, "submit", lambda items: [failed])
    answer = post(app, ("a.png", picture))
    assert answer.status_code == IMAGE_STATUS[code]
    assert answer.json()["record"]["error"] == {"code": code, "message": "it was lost"}


def test_keys_are_asked_for_and_their_rates_are_held(with_settings, picture, tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"desk {SECRET} 2\n")
    app = with_settings(keys=KeyRing.read(path))
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert post(app, ("a.png", picture)).status_code == 401
    assert ask(app, "GET", "/v1/models").status_code == 401
    assert ask(app, "GET", "/healthz").status_code == 200
    assert post(app, ("a", picture), ("b", picture), headers=headers).status_code == 200
    refused = post(app, ("a.png", picture), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate-limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 30


def test_urls_are_fetched_where_that_is_allowed(with_settings, picture):
    class Canned(Fetcher):
        async def stream(self, url):
            if url.endswith("large"):
                for _ in range(1000):
                    yield b"x" * 1000
            elif url.endswith("png"):
                yield picture[:100]
                yield picture[100:]
            else:
                async for chunk in super().stream(url):
                    yield chunk

    app = with_settings(fetcher=Canned(), allow_urls=True)
    urls = ["https://a.b/c.png", "http://127.0.0.1:9/", "https://a.b/large"]
    results = ask(app, "POST", "/v1/detect", json={"urls": urls}).json()["results"]
    assert [one["path"] for one in results] == urls
    codes = [one["error"] and one["error"]["code"] for one in results]
    assert codes == [None, "unreadable", "too-large"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"urls": "http://a.b"}', 400),
        (b'{"urls": [1]}', 400),
        (b'{"urls": []}', 400),
        (json.dumps({"urls": ["http://a.b"] * 5}).encode(), 413),
        (json.dumps({"urls": ["http://a.b/" + "x" * 3000]}).encode(), 400),
        (b'{"urls": ["' + b"x" * 300_000, 413),
        (b"[" * 100_000, 400),
    ],
)
def test_lists_of_urls_that_are_none(with_settings, body, status):
    app = with_settings(allow_urls=True)
    headers = {"Content-Type": "application/json"}
    answer = ask(app, "POST", "/v1/detect", content=body, headers=headers)
    assert answer.status_code == status


def test_nothing_is_kept_unless_asked(with_settings, app, picture, tmp_path):
    post(app, ("a.png", picture))
    folder = tmp_path / "kept"
    folder.mkdir()
    (result,) = post(with_settings(keep=folder), ("a.png", picture)).json()["results"]
    assert (folder / result["sha256"]).read_bytes() == picture
    assert json.loads((folder / f"{result['sha256']}.json").read_bytes()) == result
    assert len(list(folder.iterdir())) == 2


def test_the_log_knows_requests_by_id_and_images_not_at_all(app, picture, caplog):
    with caplog.at_level(logging.DEBUG):
        answer = post(app, ("secret-name.png", picture), headers={"X-Request-ID": "mine-1"})
        post(app, ("secret-name.png", b"broken"), headers={"X-Request-ID": "bad id\t"})
    assert answer.headers["x-request-id"] == "mine-1"
    lines = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("mine-1 POST /v1/detect 200") for line in lines)
    assert not any("secret-name" in line or "bad id" in line for line in lines)


def _form(picture):

    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    files = {"file": ("a.png", picture)}
    request = httpx.Request("POST", "http://x", files=files, headers=headers)
    return request.read(), request.headers["content-type"].encode()


class _Never(Future):
    """Of an image that nobody gets to."""
