"""`POST /v1/detect`."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from aligngemini.evidence import Problem
from aligngemini.serve.examples import FORM, RESULTS, URLS
from aligngemini.serve.intake import Intake
from aligngemini.serve.problems import IMAGE_STATUS, problem_response
from aligngemini.serve.reports import report_of
from aligngemini.serve.schema import Results, problems
from aligngemini.serve.service import Service
from aligngemini.serve.worker import Answer, Wanted
from aligngemini.version import __version__

T = TypeVar("T")

RETRY_SERVER = 10  # seconds after which to ask again where a server that we ask does not answer


def detect_route(service: Service, intake: Intake) -> APIRouter:
    """The route, judging with a service."""
    router = APIRouter()
    settings = service.settings
    body = {**FORM, **(URLS if settings.allow_urls else {})}

    @router.post(
        "/v1/detect",
        summary="Judge images",
        response_model=Results,
        responses={200: RESULTS, **problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503, 504)},
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def detect(
        request: Request,
        heatmaps: Annotated[bool, Query(description="Add `heatmap` and `maps`")] = False,
        previews: Annotated[bool, Query(description="Add `preview`")] = False,
        explain: Annotated[
            bool, Query(description="Have the vision-language model write reasons, if there is one")
        ] = False,
    ) -> Response:
        """Judge one image or several.

        Every file gives one result, in order. Of several, one that cannot be judged is a result
        with an error; one alone is a problem, with the result as its `record`. With `Accept:
        text/html` the answer is the HTML report.
        """
        key = None if settings.keys is None else settings.keys.check(_authorization(request))
        clock = asyncio.get_running_loop().time
        deadline = clock() + settings.request_timeout
        wanted = Wanted(heatmaps, previews, explain)
        if request.headers.get("accept", "").startswith("text/html"):
            wanted = replace(wanted, report=True)
        with service.memory() as memory:
            with service.admitted():
                uploads = await intake.uploads(request, memory)
            if settings.keys is not None and key is not None:
                settings.keys.use(key, len(uploads))
            work = service.judge(uploads, wanted, seconds=deadline - clock())
            answers = await _unless_gone(request, work)
        return await _response(answers, wanted)

    return router


def _authorization(request: Request) -> str:
    return request.headers.get("authorization", "")


async def _response(answers: Sequence[Answer], wanted: Wanted) -> Response:
    if wanted.report:
        judged = [answer.judged for answer in answers if answer.judged is not None]
        return Response(
            await asyncio.to_thread(report_of, judged),
            headers={"Content-Disposition": 'attachment; filename="report.html"'},
            media_type="text/html",
        )
    problem = answers[0].problem
    if len(answers) == 1 and problem is not None:
        return _alone(answers[0], problem)
    results = b", ".join(answer.body for answer in answers)
    body = b'{"results": [%b], "version": "%b"}' % (results, __version__.encode())
    return Response(body, media_type="application/json")


def _alone(answer: Answer, problem: Problem) -> Response:
    """The answer to a request for one image that could not be judged."""
    status = IMAGE_STATUS[problem.code]
    return problem_response(
        status,
        problem.code,
        problem.message,
        retry_after=RETRY_SERVER if status == 503 else None,
        record=answer.body,
    )


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, unless the caller hangs up before.

    Raises:
        ClientDisconnect: It did; the work is cancelled.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
