"""Examples of the OpenAPI document."""

from typing import Any

_IMAGE = {"type": "string", "format": "binary"}

FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "array", "items": _IMAGE, "minItems": 1}},
        }
    }
}

URLS: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["urls"],
            "properties": {
                "urls": {
                    "type": "array",
                    "items": {"type": "string", "format": "uri"},
                    "minItems": 1,
                }
            },
        },
        "example": {"urls": ["https://example.com/photo.jpg"]},
    }
}

RESULT: dict[str, Any] = {
    "path": "photo.jpg",
    "sha256": "b0bc9148f5e1144c529a23467b3c11017bba5d3d7f23d2b605eb389c539c6dde",
    "width": 448,
    "height": 296,
    "format": "JPEG",
    "verdict": "undecided",
    "score": 0.38,
    "fusion": "or",
    "disagreement": False,
    "scope": {"reasons": [], "measured": {"contrast": 180.0, "flat": 0.05}, "rules": 1},
    "branches": {
        "pixel": {
            "score": 0.38,
            "verdict": "undecided",
            "threshold": 0.91,
            "threshold_real": 0.29,
            "false_alarm_rate": 0.01,
            "model": "compact-v1@5cd9bbc2525c",
            "ms": 31.0,
        },
        "semantic": {"skipped": "no vision-language model configured"},
        "provenance": {"verdict": None, "signals": [], "ms": 0.3},
    },
    "notes": [],
    "error": None,
    "version": "0.1.0",
    "id": "6dd7395b9a5fd097-f4aa095d",
    "words": {
        "kind": "undecided",
        "headline": "undecided",
        "branches": {
            "pixel": {
                "title": "Pixels",
                "question": "Do the pixels look as if a generator's decoder had made them?",
                "text": "undecided, 0.38, between 0.29 and 0.91",
            }
        },
        "promise": "Pixels: 1 % of held-out photos reach its threshold.",
        "explanation": ["Nothing here tells a photo from an AI image.", "..."],
        "sections": [
            {
                "title": "What it means",
                "lines": ["Nothing here tells a photo from an AI image.", "..."],
            }
        ],
    },
}

RESULTS: dict[str, Any] = {
    "description": "One result a file, in order",
    "content": {"text/html": {"schema": {"type": "string"}}},
}


def add_examples(document: dict[str, Any]) -> None:
    """Put the examples that hold a null into the finished document: FastAPI drops those."""
    answers = document["paths"]["/v1/detect"]["post"]["responses"]["200"]["content"]
    answers["application/json"]["example"] = {"results": [RESULT], "version": "0.1.0"}
