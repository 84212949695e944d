"""The application: routes, the page, what goes round them."""

from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from aligngemini.serve.detect_route import detect_route
from aligngemini.serve.envelope import Envelope
from aligngemini.serve.errors import add_errors
from aligngemini.serve.fetch import Fetcher
from aligngemini.serve.intake import Intake
from aligngemini.serve.job_routes import job_routes
from aligngemini.serve.jobs import Jobs
from aligngemini.serve.schema import complete_document
from aligngemini.serve.service import Service
from aligngemini.serve.state_routes import state_routes
from aligngemini.version import __version__

PAGE = Path(__file__).parent / "page"
ABOUT = "Says of images whether they show signs of AI generation. Nobody can prove a photo real."


def create_app(
    service: Service, *, jobs: Jobs | None = None, fetcher: Fetcher | None = None
) -> FastAPI:
    """The application over a service; who started that ends it.

    Args:
        service: Judges what comes in.
        jobs: Of the service, started; None has no jobs.
        fetcher: Fetches URLs, where that is allowed.
    """
    app = FastAPI(
        title="aligngemini",
        version=__version__,
        description=ABOUT,
        docs_url=None,  # its page would load a script from elsewhere
        redoc_url=None,
    )
    app.add_middleware(Envelope, metrics=service.metrics)
    if service.settings.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(service.settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Retry-After", "X-Request-ID"],
        )
    add_errors(app)
    app.include_router(detect_route(service, Intake(service.settings, fetcher)))
    app.include_router(state_routes(service))
    if jobs is not None:
        app.include_router(job_routes(jobs, service.settings))
    app.add_api_route("/", _page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=PAGE), name="static")
    complete_document(app, keys=service.settings.keys is not None)
    return app


async def _page() -> Response:
    return FileResponse(PAGE / "index.html")
