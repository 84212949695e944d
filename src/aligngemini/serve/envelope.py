"""What goes round every request: an id, headers, a line in the log."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aligngemini.serve.metrics import Metrics

log = logging.getLogger("aligngemini.serve")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE")
BODY_READ = "aligngemini.body_read"
"""In the scope of a request: whether all of its body is here."""
REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Envelope:
    """ASGI middleware. The log names neither images nor what came with them."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an application.

        Args:
            app: The next one.
            metrics: Counts requests.
        """
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        began = time.perf_counter()
        status = 0

        async def send_more(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        async def receive_more() -> Message:
            message = await receive()
            scope[BODY_READ] = not message.get("more_body", False)
            return message

        try:
            await self.app(scope, receive_more, send_more)
        finally:
            route = scope.get("route")
            path = getattr(route, "path", "(unknown)")
            seconds = time.perf_counter() - began
            # What is no method of ours would make as many series as callers can think of.
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.request(method, path, status, seconds)
            log.info("%s %s %s %s %.0f ms", request_id, method, path, status, 1000 * seconds)
