"""The command: a real server, told to stop, killed, started again."""

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import sys

import httpx
import psutil
import pytest
from fixtures.drawn import png, striped
from serving import serving, until

from aligngemini.cli import main

linux = pytest.mark.skipif(sys.platform != "linux", reason="relies on Linux")


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def ended(processes):
    return not psutil.wait_procs(processes, timeout=20)[1]


def worker_of(process):
    """The process that judges: the fork server's child."""
    return next(
        one for one in family(process) if not one.children() and one.memory_info().rss > 5e7
    )


@linux
def test_what_was_accepted_is_answered_before_it_ends(options, picture):
    with (
        serving(options, "--queue", 8) as (process, url),
        concurrent.futures.ThreadPoolExecutor() as threads,
    ):
        others = family(process)
        worker = worker_of(process)
        worker.suspend()  # so that all of them wait
        asked = [
            threads.submit(
                httpx.post, f"{url}/v1/detect", files={"file": ("a.png", picture)}, timeout=60
            )
            for _ in range(3)
        ]
        until(lambda: _held(url) >= 3 * len(picture))
        for one in (*others, process):  # all of them, as service managers do
            os.kill(one.pid, signal.SIGTERM)
        until(lambda: _refuses(url))
        worker.resume()
        assert [answer.result().status_code for answer in asked] == [200] * 3
        assert process.wait(20) == 0
        assert ended(others)


@linux
def test_a_kill_leaves_no_process_and_a_job_is_finished_by_the_next(options, tmp_path):
    files = [("file", (f"{k}.png", png(striped(64, 64, 10 + k)))) for k in range(40)]
    with serving(options, "--jobs", tmp_path / "jobs") as (process, url):
        job = httpx.post(f"{url}/v1/jobs", files=files).json()["id"]
        until(lambda: httpx.get(f"{url}/v1/jobs/{job}").json()["done"] >= 5)
        others = family(process)
        process.kill()
        process.wait()
        assert ended(others)
    with serving(options, "--jobs", tmp_path / "jobs") as (process, url):
        until(lambda: httpx.get(f"{url}/v1/jobs/{job}").json()["state"] == "finished")
        found = httpx.get(f"{url}/v1/jobs/{job}/results?limit=1000").json()["results"]
    assert [record["path"] for record in found] == [name for _, (name, _) in files]
    assert all(record["verdict"] for record in found)


@linux
def test_headers_without_end_are_refused_and_workers_give_way(options):
    with serving(options) as (process, url):
        address = (httpx.URL(url).host, httpx.URL(url).port)
        with socket.create_connection(address, timeout=20) as caller:
            caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
            with contextlib.suppress(ConnectionError):  # it need not read all of them
                for number in range(20):
                    caller.sendall(b"X-%d: %b\r\n" % (number, b"x" * 10_000))
            with contextlib.suppress(ConnectionError):
                assert caller.recv(100).startswith(b"HTTP/1.1 400 ")
        assert worker_of(process).nice() > psutil.Process(process.pid).nice()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pixel", "none-such"], "none-such"),
        (["--api-keys", "none-such"], "cannot be read"),
        (["--host", "192.0.2.1"], "cannot listen"),
        (["--port", "99999"], "between 0 and 65535"),
        (["--keep", "none/such"], "no such folder"),
        (["--calibration", "none-such"], "--calibration"),
        (["--fusion", "none-such"], "--fusion"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_ends_with_2(capsys, arguments, said):
    try:
        code = main(["serve", "--port", "0", "--gamma", "off", "--workers", "1", *arguments])
    except SystemExit as end:
        code = end.code
    text = capsys.readouterr().err
    assert code == 2
    assert said in text
    assert "Traceback" not in text


def test_a_port_in_use_is_said(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["serve", "--port", str(other.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err


def _held(url):
    """Bytes of uploads that it has taken on."""
    return float(
        re.search(r"^aligngemini_held_bytes (.*)", httpx.get(f"{url}/metrics").text, re.M)[1]
    )


def _refuses(url):
    try:
        httpx.get(f"{url}/healthz")
    except httpx.TransportError:
        return True
    return False
