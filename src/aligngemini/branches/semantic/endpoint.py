"""JSON over HTTP with a deadline, and patience for a server that is busy.

The standard library does: two kinds of request are all there is, and nobody has to install a client
to use a server.
"""

import http.client
import json
import random
import time
from email.message import Message
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from aligngemini.branches.semantic.backend import AnswerError
from aligngemini.evidence import ErrorCode, Problem

TRIES = 4
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds
BUSY = (408, 429, 500, 502, 503, 504)
LONGEST_ANSWER = 4 << 20  # bytes


class EndpointError(AnswerError):
    """A server that gave no answer.

    Attributes:
        status: HTTP status, or None where it did not come to one.
    """

    def __init__(self, code: ErrorCode, message: str, status: int | None = None) -> None:
        super().__init__(Problem(code, message))
        self.status = status


class _StayHere(HTTPRedirectHandler):
    """Follows no redirection, which would take the key along to who knows whom."""

    def redirect_request(self, *_: Any) -> None:
        """See the class."""


class Endpoint:
    """The root of an API, such as `http://localhost:8000/v1`."""

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 50.0) -> None:
        """Nothing is sent yet.

        Args:
            url: Root of the API, `http` or `https`.
            key: Sent as bearer token.
            timeout: Seconds a request may take, all tries together.
        """
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "aligngemini"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._opener = build_opener(_StayHere)

    def ask(
        self, path: str, body: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send a request until it is answered, refused, or out of time.

        Args:
            path: Below the root.
            body: Sent as JSON by POST; without one the request is a GET.
            timeout: Instead of the endpoint's own.

        Raises:
            EndpointError: `timeout` where the time is up, `unavailable` for all else.
        """
        data = None if body is None else json.dumps(body).encode()
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        for number in range(1, TRIES + 1):
            try:
                return self._once(path, data, end - time.monotonic())
            except EndpointError as error:
                wait = _wait(number, error.__cause__)
                again = error.status in BUSY or error.status is None
                if not again or number == TRIES or time.monotonic() + wait >= end:
                    raise
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _once(self, path: str, data: bytes | None, seconds: float) -> dict[str, Any]:
        # The scheme is checked where the URL is read.
        request = Request(f"{self.url}/{path}", data, self._headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=seconds) as response:
                text = response.read(LONGEST_ANSWER)
        except HTTPError as error:
            raise EndpointError("unavailable", self._refusal(error), error.code) from error
        except (TimeoutError, URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise EndpointError("timeout", f"{self.url} took too long to answer") from error
            said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise EndpointError("unavailable", f"{self.url} cannot be reached: {said}") from error
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise EndpointError("unavailable", f"{self.url}/{path} does not answer in JSON", 200)
        return answer

    def _refusal(self, error: HTTPError) -> str:
        """What the server says of a request that it refuses, cut short."""
        try:
            said = error.read(500).decode("utf-8", "replace")
        except OSError:
            said = ""
        return f"{self.url} answers {error.code} {error.reason}: {said[:200]}".rstrip(": ")


def _wait(number: int, cause: BaseException | None) -> float:
    """Seconds before the next try: what the server asks for, else longer each time, at random."""
    headers = cause.headers if isinstance(cause, HTTPError) else Message()
    asked = str(headers.get("Retry-After", ""))
    if asked.isdecimal():
        return float(asked)
    # Not all clients of a busy server may come back at the same moment.
    longest = min(FIRST_WAIT * 2.0 ** (number - 1), LONGEST_WAIT)
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
