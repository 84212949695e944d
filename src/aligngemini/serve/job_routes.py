"""`/v1/jobs`: large batches."""

import asyncio
import sqlite3
from datetime import datetime, timezone
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from aligngemini.serve.examples import FORM
from aligngemini.serve.job_files import Incoming, Job
from aligngemini.serve.jobs import Jobs
from aligngemini.serve.problems import Refusal
from aligngemini.serve.schema import JobResultsPage, JobState, problems
from aligngemini.serve.settings import ServiceSettings
from aligngemini.serve.uploads import read_form

T = TypeVar("T")

SILENCE = 30.0  # seconds without a byte after which an upload is given up
UPLOADS = 4  # jobs on their way in at the same time
PAGE = 1000  # results at a time, at most

JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As `POST /v1/jobs` gave it")]


def job_routes(jobs: Jobs, settings: ServiceSettings) -> APIRouter:
    """The routes, over the jobs of a service."""
    router = APIRouter()
    uploads = asyncio.Semaphore(UPLOADS)

    def owner_of(request: Request, images: int = 0) -> str:
        if settings.keys is None:
            return ""
        key = settings.keys.check(request.headers.get("authorization", ""))
        settings.keys.use(key, images)
        return key.name

    async def found(request: Request, job: str) -> Job:
        known = await asyncio.to_thread(jobs.files.find, job, owner_of(request))
        if known is None:
            raise Refusal(404, "not-found", "there is no such job")
        return known

    @router.post(
        "/v1/jobs",
        status_code=202,
        summary="Have many images judged",
        response_model=JobState,
        responses=problems(400, 401, 408, 413, 429, 500, 503, 507),
        openapi_extra={"requestBody": {"required": True, "content": FORM}},
    )
    async def make(request: Request) -> Response:
        """Take the images on disk, answer at once, and judge them when nothing else waits.

        The job outlives a restart of the service. Its images are deleted once they are judged, its
        results when it is.
        """
        owner = owner_of(request)
        if uploads.locked():
            raise Refusal(503, "busy", "enough jobs are on their way in already", retry_after=10)
        async with uploads:
            job = await _received(request, jobs, settings, owner)
        jobs.wake()
        return JSONResponse(await _state(jobs, job), 202, {"Location": f"/v1/jobs/{job.id}"})

    @router.get(
        "/v1/jobs/{job}",
        summary="How far a job is",
        response_model=JobState,
        responses=problems(400, 401, 404, 429, 500),
    )
    async def state(request: Request, job: JobId) -> Response:
        """Its state, and how many of its images are judged."""
        return JSONResponse(await _state(jobs, await found(request, job)))

    @router.get(
        "/v1/jobs/{job}/results",
        summary="The results of a job",
        response_model=JobResultsPage,
        responses=problems(400, 401, 404, 429, 500),
    )
    async def results(
        request: Request,
        job: JobId,
        after: Annotated[int, Query(ge=0, le=2**31, description="Results to pass over")] = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE, description="Results to give")] = 100,
    ) -> Response:
        """Records in the order of the files, as far as they are there without a gap.

        `next` is what to give as `after` for more; it is null once there are no more to come.
        """
        known = await found(request, job)
        images = await asyncio.to_thread(jobs.files.images, job, first=after, count=limit)
        records = await asyncio.to_thread(jobs.results.records, images)
        following = after + len(records)
        return JSONResponse(
            {"results": records, "next": following if following < known.images else None}
        )

    @router.delete(
        "/v1/jobs/{job}",
        status_code=204,
        summary="Delete a job's results",
        responses=problems(400, 401, 404, 409, 429, 500),
    )
    async def remove(request: Request, job: JobId) -> Response:
        """Forget a finished job and its results."""
        known = await found(request, job)
        if known.finished is None:
            raise Refusal(409, "not-finished", "the job is not finished: ask again when it is")
        await asyncio.to_thread(jobs.remove, job)
        return Response(status_code=204)

    return router


async def _received(request: Request, jobs: Jobs, settings: ServiceSettings, owner: str) -> Job:
    """Take the images in; what does not become a job is taken away again."""
    limits = settings.job_limits
    files: list[Incoming] = []

    def opened(name: str) -> Incoming:
        files.append(jobs.files.incoming(name, limits.file_bytes))
        return files[-1]

    try:
        stream = _unless_silent(request.stream())
        await read_form(stream, request.headers.get("content-type", ""), limits, opened)
        if any(file.too_large for file in files):
            most = limits.file_bytes / 1e6
            raise Refusal(413, "too-large", f"one of the files has more than {most:.0f} MB")
        return await asyncio.to_thread(jobs.files.make, files, owner)
    except (OSError, sqlite3.Error) as error:
        raise Refusal(
            507, "no-space", "the images cannot be stored: no room, or no disk"
        ) from error
    finally:
        jobs.files.discard(files)


async def _unless_silent(stream: Any) -> Any:
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream, None), SILENCE)
        except (TimeoutError, asyncio.TimeoutError):
            message = f"nothing came for {SILENCE:g} seconds"
            raise Refusal(408, "too-slow", message) from None
        if chunk is None:
            return
        yield chunk


async def _state(jobs: Jobs, job: Job) -> dict[str, Any]:
    done = await asyncio.to_thread(jobs.results.done, job.id)
    return {
        "id": job.id,
        "state": "finished" if job.finished is not None else "running" if done else "waiting",
        "images": job.images,
        "done": done,
        "made": _written(job.made),
        "finished": None if job.finished is None else _written(job.finished),
    }


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")
