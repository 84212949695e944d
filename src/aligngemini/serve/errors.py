"""Every error as problem details."""

import asyncio
import contextlib
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from aligngemini.serve.envelope import BODY_READ
from aligngemini.serve.problems import Refusal, problem_response

DRAINED_BYTES, DRAINED_SECONDS = 8 << 20, 1.0
HUNG_UP = 499  # as nginx logs it


def add_errors(app: FastAPI) -> None:
    """Have the application answer everything that goes wrong."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _broken)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - as registered
    await _drain(request)
    return error.response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered
    await _drain(request)
    wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    return problem_response(400, "bad-request", wrong)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    await _drain(request)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    response = problem_response(error.status_code, code, error.detail)
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """Methods of all routes at this path; each route knows only its own."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.path_regex.match(request.url.path)
        for method in route.methods or ()
    }


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=HUNG_UP)  # for the log: nobody is there to read it


async def _broken(request: Request, error: Exception) -> Response:
    return problem_response(500, "internal", "the service failed; its log says how")


async def _drain(request: Request) -> None:
    """Read away a little of what is still on its way: else the caller may not see the answer.

    A connection that is closed with something unread is reset, and what was sent may be lost.
    """
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # nothing is
    with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
        await asyncio.wait_for(_discard(request), DRAINED_SECONDS)


async def _discard(request: Request) -> None:
    left = DRAINED_BYTES
    while left > 0 and not request.scope.get(BODY_READ):
        left -= len((await request.receive()).get("body", b""))
