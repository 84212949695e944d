"""What goes wrong, as problem details (RFC 9457)."""

import json
from typing import Any

from starlette.responses import Response

from aligngemini.evidence import ErrorCode

MEDIA_TYPE = "application/problem+json"
KINDS = "urn:aligngemini:problem:"

IMAGE_STATUS: dict[ErrorCode, int] = {
    "not-found": 422,
    "unreadable": 422,
    "empty": 422,
    "unsupported": 415,
    "truncated": 422,
    "corrupt": 422,
    "too-large": 413,
    "too-small": 422,
    "timeout": 504,
    "crashed": 422,
    "unavailable": 503,
    "internal": 500,
}
"""Status of a request for one image alone that could not be judged, by the code of its record."""

TITLES = {
    400: "The request cannot be understood",
    401: "An API key is needed",
    403: "Not allowed",
    404: "Not there",
    405: "Not possible with this method",
    408: "The request came too slowly",
    409: "Not finished",
    413: "Too large",
    415: "Not an image that is opened here",
    422: "The image cannot be judged",
    429: "Too many requests with this API key",
    500: "A fault of the service",
    503: "Busy",
    504: "Not done in time",
    507: "No room on the disk",
}


class Refusal(Exception):  # noqa: N818 - no error of ours: the answer to a request
    """A request that is answered with problem details.

    Attributes:
        status: HTTP status.
        code: Stable, for programs: that of the image's record, or one of the service's own.
        detail: For people.
        retry_after: Seconds after which to try again, or None.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def response(self) -> Response:
        """The answer."""
        return problem_response(self.status, self.code, self.detail, retry_after=self.retry_after)


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    retry_after: int | None = None,
    record: bytes | None = None,
) -> Response:
    """Problem details.

    Args:
        status: HTTP status.
        code: Stable.
        detail: One sentence.
        retry_after: Seconds, for the header.
        record: That of the image, as JSON, where there is one.
    """
    details: dict[str, Any] = {
        "type": f"{KINDS}{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
    }
    body = json.dumps(details).encode()
    if record is not None:
        body = body[:-1] + b', "record": ' + record + b"}"
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(body, status, headers, MEDIA_TYPE)
