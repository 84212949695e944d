"""What the service says of itself."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from aligngemini.serve import metrics
from aligngemini.serve.problems import Refusal
from aligngemini.serve.schema import Health, Models, Ready, problems
from aligngemini.serve.service import Service
from aligngemini.version import __version__


def state_routes(service: Service) -> APIRouter:
    """The routes, telling of a service."""
    router = APIRouter()
    settings = service.settings

    @router.get(
        "/v1/models",
        summary="What judges",
        response_model=Models,
        responses=problems(401, 429, 503),
    )
    async def models(request: Request) -> Response:
        """The branches with their models, thresholds and known false alarms, and the limits."""
        if settings.keys is not None:
            settings.keys.check(request.headers.get("authorization", ""))
        limits = settings.limits
        facts = _facts(service)[0]
        return JSONResponse(
            {
                **{name: facts[name] for name in ("branches", "fusion", "calibration")},
                "limits": {
                    "files": limits.files,
                    "file_bytes": limits.file_bytes,
                    "request_bytes": limits.request_bytes,
                    "pixels": settings.max_pixels,
                    "seconds": settings.request_timeout,
                    "urls": settings.allow_urls,
                    "jobs": settings.jobs is not None,
                },
                "keeps": settings.keep is not None,
                "version": __version__,
            }
        )

    @router.get("/healthz", summary="Does the process answer", response_model=Health)
    async def healthz() -> Response:
        """For liveness probes: no model is asked."""
        return JSONResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Can images be judged",
        response_model=Ready,
        responses=problems(503),
    )
    async def readyz() -> Response:
        """For readiness probes: the workers that are ready, and where each model truly runs."""
        facts = _facts(service)
        return JSONResponse(
            {
                "status": "ready",
                "workers": len(facts),
                "of": settings.workers,
                "models": [
                    {"worker": worker, **{key: one[key] for key in ("name", "model", "device")}}
                    for worker, loaded in enumerate(facts)
                    for one in loaded["branches"]
                    if one.get("model") is not None
                ],
            }
        )

    @router.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def prometheus() -> Response:
        """Requests, images, errors by code, time by branch, the queue and the workers."""
        return Response(service.metrics.text(), media_type=metrics.MEDIA_TYPE)

    return router


def _facts(service: Service) -> list[dict[str, Any]]:
    facts = service.facts()
    if not facts:
        raise Refusal(503, "not-ready", "no model is loaded at the moment", retry_after=5)
    return facts
