"""The shapes of answers, for the OpenAPI document.

They describe and do not check: records come from workers as finished JSON.
"""

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from aligngemini.evidence import ErrorCode
from aligngemini.serve.examples import add_examples
from aligngemini.serve.problems import MEDIA_TYPE, TITLES

Label = Literal["fake", "real", "undecided"]


class Shape(BaseModel):
    """Further fields may come with later versions."""

    model_config = ConfigDict(extra="allow")


class ErrorShape(Shape):
    """Why an image could not be judged."""

    code: ErrorCode
    message: str


class BranchShape(Shape):
    """What one branch says; only the fields that apply."""

    score: float | None = Field(None, ge=0, le=1)
    verdict: Label | None = None
    threshold: float | None = None
    threshold_real: float | None = None
    model: str | None = None
    skipped: str | None = None


class BranchWords(Shape):
    """The same for people."""

    title: str
    question: str | None
    text: str


class Section(Shape):
    """Sentences that belong together."""

    title: str
    lines: list[str]


class Words(Shape):
    """What the result says to people."""

    kind: Literal["fake", "undecided", "real", "unjudged"]
    headline: str
    branches: dict[str, BranchWords]
    promise: str | None = Field(description="How often such a verdict is wrong, as far as known")
    explanation: list[str] = Field(description="How the verdict came about, in sentences")
    sections: list[Section] = Field(description="The same, under headings")


class Result(Shape):
    """A record as `aligngemini detect --format jsonl` writes it, and what was asked for beside."""

    path: str = Field(description="The file's name as given, without folders, or the URL")
    sha256: str | None
    width: int | None
    height: int | None
    format: str | None
    verdict: Label | None
    score: float | None = Field(ge=0, le=1)
    fusion: str
    branches: dict[str, BranchShape]
    notes: list[str]
    error: ErrorShape | None
    words: Words
    preview: str | None = Field(None, description="A data URL of a JPEG")
    heatmap: str | None = Field(
        None, description="A data URL of a PNG to be stretched over the preview, clear where cold"
    )
    maps: dict[str, str] | None = Field(None, description="Data URLs of GAMMA's maps by name")


class Results(Shape):
    """One result a file, in the order of the files."""

    results: list[Result]
    version: str


class Models(Shape):
    """What is loaded."""

    branches: list[dict[str, Any]]
    fusion: dict[str, Any]
    calibration: dict[str, Any] | None
    limits: dict[str, Any]
    keeps: bool
    version: str


class Ready(Shape):
    """Which workers are ready, and where their models run."""

    status: Literal["ready"]
    workers: int
    of: int
    models: list[dict[str, Any]]


class JobState(Shape):
    """How far a job is."""

    id: str
    state: Literal["waiting", "running", "finished"]
    images: int
    done: int
    made: str = Field(description="ISO 8601, UTC")
    finished: str | None


class Record(Shape):
    """A record as `aligngemini detect --format jsonl` writes it."""

    path: str
    sha256: str | None
    verdict: Label | None
    score: float | None = Field(ge=0, le=1)
    branches: dict[str, BranchShape]
    error: ErrorShape | None


class JobResultsPage(Shape):
    """Records in the order of the files."""

    results: list[Record]
    next: int | None


class Health(Shape):
    """The process answers."""

    status: Literal["ok"]


class ProblemDetails(Shape):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    record: Result | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for errors, by status."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
    if status in (429, 503):
        described["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}
        }
    return described


def complete_document(app: FastAPI, *, keys: bool) -> None:
    """Put the shape that all errors have, and examples, into the OpenAPI document.

    Args:
        app: With all its routes.
        keys: Whether an API key is asked for.
    """
    plain = app.openapi

    def completed() -> dict[str, Any]:
        document = plain()
        schemas = document["components"]["schemas"]
        shape = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**shape.pop("$defs"), "ProblemDetails": shape} | schemas
        add_examples(document)
        if keys:
            document["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"}
            }
            for path, methods in document["paths"].items():
                if path.startswith("/v1/"):
                    for described in methods.values():
                        described["security"] = [{"key": []}]
        return document

    app.openapi = completed  # type: ignore[method-assign]  # as FastAPI documents it
