"""Scores of held-out images on disk: small, so all of them are kept and every figure is derived."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Prediction:
    """One held-out image under one delivery. `logit` is the uncalibrated output of its fold."""

    fold: int
    path: str
    label: str
    generator: str
    source: str
    delivery: str
    logit: float


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_predictions` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Prediction(
                fold=int(record["fold"]),
                path=record["path"],
                label=record["label"],
                generator=record["generator"],
                source=record["source"],
                delivery=record["delivery"],
                logit=float(record["logit"]),
            )
            for record in csv.DictReader(file)
        ]


def write_predictions(predictions: Iterable[Prediction], path: Path) -> None:
    """Write predictions as CSV, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Prediction)])
        writer.writeheader()
        writer.writerows(asdict(prediction) for prediction in predictions)
    partial.replace(path)
