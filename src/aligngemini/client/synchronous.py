"""The client for ordinary programs."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

import httpx

from aligngemini.client.exchange import (
    Asked,
    ImageInput,
    Waiting,
    body_of,
    error_of,
    headers_of,
    unreachable,
    verdict_of,
)
from aligngemini.verdict import Verdict


class Client:
    """Asks a service that `aligngemini serve` runs.

    A busy service is asked again after the time it names. Use it as a context manager, or close
    it; one client serves many requests, and several threads.

    Example:
        >>> from aligngemini import Client
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     client.judge("photo.jpg").verdict
        'real'
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        key: str | None = None,
        timeout: float = 300.0,
        tries: int = 5,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Say whom to ask; nothing is sent yet.

        Args:
            url: Where the service is.
            key: API key, where it asks for one.
            timeout: Seconds for one request.
            tries: How often to try again where the service is busy.
            transport: Carries requests; None takes the network.
        """
        self._waiting = Waiting(tries)
        self._http = httpx.Client(
            base_url=url, headers=headers_of(key), timeout=timeout, transport=transport
        )

    def judge(self, image: ImageInput, *, explain: bool = False) -> Verdict:
        """Judge one image; see `judge_batch`."""
        return self.judge_batch([image], explain=explain)[0]

    def judge_batch(
        self, images: Iterable[ImageInput], *, explain: bool = False, at_a_time: int = 8
    ) -> list[Verdict]:
        """Judge images, in order. What cannot be judged is a verdict with an error.

        Args:
            images: Paths, or files' bytes.
            explain: Whether the service's vision-language model writes reasons, if it has one.
            at_a_time: Images in one request.

        Raises:
            ServiceError: The service could not be reached, or answered something else.
        """
        source, verdicts = iter(images), []
        while group := list(islice(source, at_a_time)):
            asked = Asked.of(group)
            response = None
            if asked.files:
                query = {"explain": "true"} if explain else {}
                response = self._send("POST", "/v1/detect", params=query, files=asked.files)
            verdicts += asked.verdicts(response)
        return verdicts

    def models(self) -> dict[str, Any]:
        """What judges: branches, thresholds, known false alarms, limits.

        Raises:
            ServiceError: As `judge_batch`.
        """
        return self._json("GET", "/v1/models")

    def start_job(self, images: Sequence[ImageInput]) -> str:
        """Send many images to be judged later; gives the job's id.

        Args:
            images: Paths, or files' bytes; all are read before the first is sent.

        Raises:
            ServiceError: As `judge_batch`; the service may take no jobs.
            ImageError: One cannot be read.
        """
        asked = Asked.of(images)
        asked.check()
        return str(self._json("POST", "/v1/jobs", files=asked.files)["id"])

    def job(self, job: str) -> dict[str, Any]:
        """How far a job is: `state`, `images`, `done`.

        Raises:
            ServiceError: As `judge_batch`; there may be no such job.
        """
        return self._json("GET", f"/v1/jobs/{job}")

    def job_results(self, job: str) -> Iterator[Verdict]:
        """Verdicts of a job, in the order of its images, as far as they are there.

        Raises:
            ServiceError: As `job`.
        """
        after: int | None = 0
        while after is not None:
            page = self._json("GET", f"/v1/jobs/{job}/results", params={"after": after})
            for record in page["results"]:
                yield verdict_of(record)
            after = page["next"] if page["results"] else None

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _json(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        response = self._send(method, path, **content)
        body = body_of(response)
        if not response.is_success or not body:
            raise error_of(response)
        return body

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        attempt = 1
        while True:
            try:
                response = self._http.request(method, path, **content)
            except httpx.HTTPError as error:
                raise unreachable(error) from error
            seconds = self._waiting.seconds(response, attempt)
            if seconds is None:
                return response
            time.sleep(seconds)
            attempt += 1
