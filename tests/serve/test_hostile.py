"""Files made to do harm, posted to a real server."""

import httpx
import psutil
import pytest
from serving import serving, until

pytestmark = pytest.mark.shared

GROWTH = 200e6  # bytes; decoders keep some of what they once needed


def family(process):
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def private_memory(process):
    return sum(one.memory_full_info().uss for one in family(process))


def test_each_gets_its_documented_answer_and_the_server_is_as_before(options, shared_data, picture):
    files = sorted(path for path in (shared_data / "hostile").rglob("*") if path.is_file())
    with (
        serving(options, "--timeout", "20") as (process, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        document = client.get("/openapi.json").json()
        documented = document["paths"]["/v1/detect"]["post"]["responses"]
        for _ in range(3):
            assert client.post("/v1/detect", files={"file": ("a", picture)}).status_code == 200
        pids, memory = {one.pid for one in family(process)}, private_memory(process)
        query = {"heatmaps": "true", "previews": "true"}
        for path in files:
            parts = {"file": (path.name, path.read_bytes())}
            answer = client.post("/v1/detect", files=parts, params=query)
            assert str(answer.status_code) in documented
            assert answer.status_code < 500, (path, answer.text)
            if answer.status_code >= 400:
                assert answer.json()["code"] == answer.json()["record"]["error"]["code"]
        until(lambda: client.get("/readyz").status_code == 200)
        assert {one.pid for one in family(process)} == pids
        assert private_memory(process) < memory + GROWTH
