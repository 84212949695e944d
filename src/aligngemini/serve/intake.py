"""What a request brings: files in a form, or URLs to fetch."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

from starlette.requests import Request

from aligngemini.images.item import ImageError
from aligngemini.report.words import printable
from aligngemini.serve.fetch import Fetcher
from aligngemini.serve.problems import Refusal
from aligngemini.serve.service import Memory
from aligngemini.serve.settings import ServiceSettings
from aligngemini.serve.uploads import Upload, read_uploads

AT_ONCE = 4  # URLs of one request
LONGEST_LIST = 1 << 18  # bytes of JSON
LONGEST_URL = 2048  # characters


class Intake:
    """Reads requests."""

    def __init__(self, settings: ServiceSettings, fetcher: Fetcher | None = None) -> None:
        """Say what is taken.

        Args:
            settings: The limits, and whether URLs are fetched.
            fetcher: Fetches them; None takes one of its own.
        """
        self.settings = settings
        self.fetcher = fetcher or Fetcher()

    async def uploads(self, request: Request, memory: Memory) -> list[Upload]:
        """The images of a request, in order, at least one.

        Raises:
            Refusal: It has none or too many, is too large, too slow or cannot be understood.
        """
        seconds = self.settings.request_timeout
        try:
            return await asyncio.wait_for(self._read(request, memory), seconds)
        except (TimeoutError, asyncio.TimeoutError):
            message = f"the request was not there after {seconds:g} seconds"
            raise Refusal(408, "too-slow", message) from None

    async def _read(self, request: Request, memory: Memory) -> list[Upload]:
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() == "application/json":
            return await self._fetched(await self._urls(request), memory)
        stream = memory.counted(request.stream())
        return await read_uploads(stream, content_type, self.settings.limits)

    async def _urls(self, request: Request) -> list[str]:
        """The URLs that a JSON body names."""
        if not self.settings.allow_urls:
            raise Refusal(
                403, "urls-off", "this service fetches no URLs: send the images themselves"
            )
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_LIST:
                raise Refusal(413, "request-too-large", "the list of URLs is too long")
        return _listed(_parsed(body), self.settings.limits.files)

    async def _fetched(self, urls: list[str], memory: Memory) -> list[Upload]:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(url: str) -> Upload:
            async with room:
                return await self._fetch(url, memory)

        tasks = [asyncio.ensure_future(one(url)) for url in urls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:  # of those that are not done where one was refused
                task.cancel()

    async def _fetch(self, url: str, memory: Memory) -> Upload:
        most = self.settings.limits.file_bytes + 1
        upload = Upload(printable(url), most)
        try:
            async with aclosing(self.fetcher.stream(url)) as pieces:
                stream = memory.counted(pieces)
                async for chunk in stream:
                    upload.write(memoryview(chunk))
                    if len(upload.data) == most:
                        break  # its record will say that it is too large
        except ImageError as error:
            upload.problem = error.problem
        return upload


def _parsed(body: bytes | bytearray) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "bad-request", "the body is no JSON") from None


def _listed(body: Any, most: int) -> list[str]:
    urls = body.get("urls") if isinstance(body, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise Refusal(400, "bad-request", 'the body must be {"urls": [a text each]}')
    if not urls:
        raise Refusal(400, "no-file", "the list of URLs is empty")
    if len(urls) > most:
        raise Refusal(413, "too-many-files", f"the request names more than {most} URLs")
    if any(len(url) > LONGEST_URL for url in urls):
        raise Refusal(400, "bad-request", f"a URL has more than {LONGEST_URL} characters")
    return urls
