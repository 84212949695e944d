"""Ways to ask an application."""

import asyncio

import httpx

from aligngemini.serve.uploads import RequestLimits

LIMITS = RequestLimits(files=4, file_bytes=200_000, request_bytes=500_000)


def ask(app, method, url, **settings):
    """One request, in a loop of its own."""

    async def request():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.request(method, url, **settings)

    return asyncio.run(request())


def post(app, *files, url="/v1/detect", **settings):
    """Files to be judged, each a pair of name and bytes."""
    return ask(app, "POST", url, files=[("file", file) for file in files], **settings)


def without_times(record):
    """A record without what differs from one time to the next."""
    if isinstance(record, dict):
        return {key: without_times(value) for key, value in record.items() if key != "ms"}
    return record
