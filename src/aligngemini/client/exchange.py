"""What is sent and what comes back, whoever carries it."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from aligngemini.images.files import read_bytes
from aligngemini.images.item import ImageError
from aligngemini.report.record import RecordError, parse_record
from aligngemini.verdict import Verdict

ImageInput: TypeAlias = "str | Path | bytes"

AGAIN = (429, 503)
"""Statuses after which to try again."""
FIRST_WAIT = 1.0  # seconds, where the service does not say how long; doubled with each try


class ServiceError(Exception):
    """A request that the service did not answer with verdicts.

    Attributes:
        status: HTTP status; 0 where there was no answer.
        code: As the problem details give it, `http` where there are none, `no-answer` where there
            was no answer, `no-record` where the answer is not a service's.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Waiting:
    """How to wait for a busy service.

    Attributes:
        tries: Tries after the first.
        longest: Seconds between two tries, at most.
    """

    tries: int = 5
    longest: float = 60.0

    def seconds(self, response: httpx.Response, attempt: int) -> float | None:
        """Seconds until the next try; None where there is none to make.

        Args:
            response: What was answered.
            attempt: Tries made so far, from 1.
        """
        if response.status_code not in AGAIN or attempt > self.tries:
            return None
        given = response.headers.get("retry-after", "")
        wait = float(given) if given.isdecimal() else FIRST_WAIT * 2 ** (attempt - 1)
        # A little apart, so that all who were turned away do not come back at once.
        return min(self.longest, wait) * random.uniform(1.0, 1.25)  # noqa: S311 - no secret


@dataclass(frozen=True)
class Asked:
    """Images as they go into one request.

    Attributes:
        names: How the caller calls each.
        parts: Position, name and bytes of those that could be read.
        failed: Verdicts by position of those that could not.
    """

    names: list[str]
    parts: list[tuple[int, str, bytes]]
    failed: dict[int, Verdict]

    @classmethod
    def of(cls, images: Sequence[ImageInput]) -> "Asked":
        """Read the images."""
        asked = cls([], [], {})
        for position, image in enumerate(images):
            name = "" if isinstance(image, bytes) else str(image)
            asked.names.append(name)
            try:
                data = image if isinstance(image, bytes) else read_bytes(image)
            except ImageError as error:
                asked.failed[position] = Verdict(path=name, error=error.problem)
            else:
                asked.parts.append((position, Path(name).name or "image", data))
        return asked

    def check(self) -> None:
        """Make sure that all could be read.

        Raises:
            ImageError: One could not.
        """
        for verdict in self.failed.values():
            if verdict.error is not None:
                message = f"{verdict.path}: {verdict.error.message}"
                raise ImageError(verdict.error.code, message)

    @property
    def files(self) -> list[tuple[str, tuple[str, bytes]]]:
        """What httpx makes a form of."""
        return [("file", (name, data)) for _, name, data in self.parts]

    def verdicts(self, response: httpx.Response | None) -> list[Verdict]:
        """The verdict on each image, in order.

        Args:
            response: To the request; None where there was nothing to ask.

        Raises:
            ServiceError: It holds none.
        """
        records = [] if response is None else records_of(response)
        if len(records) != len(self.parts):
            raise ServiceError(
                200, "no-record", "the service answered for another number of images"
            )
        found = dict(self.failed)
        for (position, _, _), record in zip(self.parts, records, strict=True):
            found[position] = replace(verdict_of(record), path=self.names[position])
        return [found[position] for position in range(len(self.names))]


def records_of(response: httpx.Response) -> list[Any]:
    """The records of an answer; that of one image that could not be judged, too.

    Raises:
        ServiceError: It has none.
    """
    body = body_of(response)
    if response.is_success and isinstance(body.get("results"), list):
        return list(body["results"])
    if isinstance(body.get("record"), dict):
        return [body["record"]]
    raise error_of(response)


def body_of(response: httpx.Response) -> dict[str, Any]:
    """What an answer says, empty where it is no JSON object."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def error_of(response: httpx.Response) -> ServiceError:
    """What an answer without verdicts says is wrong."""
    body = body_of(response)
    if response.is_success:
        return ServiceError(response.status_code, "no-record", "that is no answer of a service")
    reason = response.reason_phrase or "no reason given"
    detail = body.get("detail") or f"the service answered {response.status_code} {reason}"
    return ServiceError(response.status_code, str(body.get("code", "http")), str(detail))


def unreachable(error: httpx.HTTPError) -> ServiceError:
    """The same for a request without an answer."""
    return ServiceError(0, "no-answer", f"no answer: {error or type(error).__name__}")


def verdict_of(record: Any) -> Verdict:
    """The verdict that a record states.

    Raises:
        ServiceError: It is no record.
    """
    try:
        return parse_record(record)
    except RecordError as error:
        raise ServiceError(200, "no-record", f"the answer is no record: {error}") from error


def headers_of(key: str | None) -> dict[str, str]:
    """What every request carries."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}
