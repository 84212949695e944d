"""One run of `aligngemini serve`, from start to exit code."""

import logging
import socket
import sqlite3
import sys
from ipaddress import ip_address

from aligngemini.cli.checks import WRONG_USE
from aligngemini.cli.run import fetch
from aligngemini.cli.stopping import Stopped, Stopper
from aligngemini.isolation import WorkerStartError
from aligngemini.runtimes.folder import ModelError
from aligngemini.scan.store import StoreError
from aligngemini.serve.settings import ServiceSettings
from aligngemini.settings import SettingsError

ORDERLY = 0
CONNECTIONS = 1024  # at a time; further ones are turned away


def run(settings: ServiceSettings, *, host: str, port: int) -> int:
    """Serve until told to stop; gives the exit code."""
    try:
        listener = _listen(host, port)
    except OSError as error:
        return _fail(f"cannot listen on {host}, port {port}: {error.strerror or error}")
    with listener:
        return _serve(settings, host, listener)


def _serve(settings: ServiceSettings, host: str, listener: socket.socket) -> int:
    import uvicorn

    from aligngemini.serve.app import create_app
    from aligngemini.serve.jobs import Jobs
    from aligngemini.serve.service import Service

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    service = Service(settings)
    try:
        jobs = None if settings.jobs is None else Jobs(service, settings.jobs)
    except (OSError, sqlite3.Error, StoreError) as error:
        return _fail(f"--jobs {settings.jobs}: {error}")
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service, jobs=jobs),
            lifespan="off",
            access_log=False,  # ours has no query in it
            log_config=None,
            http="h11",  # httptools, taken where it is installed, sets headers no limit
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=round(settings.request_timeout) + 1,
        )
    )
    try:
        with Stopper().listening():
            print("aligngemini serve: loading the models", file=sys.stderr)
            fetch(settings.detector.pixel)
            service.start()
            if jobs is not None:
                jobs.start()
            for line in _greeting(host, listener.getsockname()[1], settings):
                print(f"aligngemini serve: {line}", file=sys.stderr, flush=True)
            server.run([listener])
    except Stopped as stopped:
        return ORDERLY if server.started and not server.force_exit else stopped.code
    except (ModelError, WorkerStartError, SettingsError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"--scores {settings.scores}: {error.strerror or error}")
    finally:
        if jobs is not None:
            jobs.stop()
        service.close(finish=server.started and not server.force_exit)
        if jobs is not None:
            jobs.close()
    return ORDERLY


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    # Connections inherit it. An answer goes out in two pieces, and without it the second waits
    # until the first has been acknowledged, which takes the other side 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _greeting(host: str, port: int, settings: ServiceSettings) -> list[str]:
    shown = f"[{host}]" if ":" in host else host
    lines = [f"listening on http://{shown}:{port}/"]
    if settings.keys is None and not _is_loopback(host):
        lines.append("whoever reaches this address may use it; --api-keys FILE changes that")
    return lines


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fail(message: str) -> int:
    print(f"aligngemini serve: {message}", file=sys.stderr)
    return WRONG_USE
