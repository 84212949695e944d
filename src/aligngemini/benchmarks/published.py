"""Published numbers, each with its source and how far that can be trusted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from aligngemini.benchmarks.base import SHARED
from aligngemini.benchmarks.registry import BENCHMARKS

Trust = Literal["P", "S", "W"]
TRUST_WORDS: dict[Trust, str] = {
    "P": "from the authors",
    "S": "second hand",
    "W": "from working code that appears to be the authors'",
}

MEAN = "mean"
"""Stands for the mean over a benchmark's subsets."""
OTHER_SETS = ("in-the-wild", "univfd", "rrdataset")
"""Sets with published numbers that are no benchmarks here; the first is a mean over five."""
METRICS = (
    *("accuracy", "balanced_accuracy", "real_accuracy", "fake_accuracy"),
    *("detection_rate", "ap"),
)

_KEYS = {"source", "trust", "metric", "protocol", "remark", "method", "numbers", "table"}


class PublishedError(ValueError):
    """The file of published numbers says something it cannot say."""


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        method: Name of the detector.
        benchmark: Name of the benchmark, or one of `OTHER_SETS`.
        subset: A subset's name, `mean`, or several names joined by `+` for the mean over those.
        metric: As in `METRICS`; the names are those of `evaluation.tables`.
        value: A share, 0 to 1.
        spread: Standard deviation over the subsets, likewise; None where none is given.
        source: Where it stands.
        trust: As in `TRUST_WORDS`.
        protocol: What was done to the images first, `as-is` for nothing.
        remark: What makes it hard to compare; may be empty.
    """

    method: str
    benchmark: str
    subset: str
    metric: str
    value: float
    spread: float | None
    source: str
    trust: Trust
    protocol: str
    remark: str


@cache
def load_published() -> tuple[Published, ...]:
    """All published numbers, in the order of the file `published.yaml`.

    Raises:
        PublishedError: The file is wrong somewhere; the message names the source.
        ModuleNotFoundError: PyYAML, of the evaluate extra, is not installed.
    """
    import yaml  # noqa: PLC0415 - belongs to the evaluate extra

    text = files("aligngemini.benchmarks").joinpath("published.yaml").read_bytes()
    return tuple(number for block in yaml.safe_load(text) for number in parse_block(block))


def published_for(benchmark: str) -> list[Published]:
    """Published numbers of a benchmark."""
    return [number for number in load_published() if number.benchmark == benchmark]


def parse_block(block: Mapping[str, Any]) -> Iterator[Published]:
    """The numbers of one block of the file.

    Raises:
        PublishedError: It has unknown keys, names or metrics, or a number that is no percentage.
    """
    if unknown := set(block) - _KEYS:
        raise PublishedError(f"{block.get('source')}: unknown {', '.join(sorted(unknown))}")
    for method, benchmark, subset, number in _cells(block):
        value, spread = number if isinstance(number, list) else (number, None)
        published = Published(
            method=method,
            benchmark=benchmark,
            subset=subset,
            metric=block["metric"],
            value=_share(value, block),
            spread=None if spread is None else _share(spread, block),
            source=block["source"],
            trust=block["trust"],
            protocol=block.get("protocol", "as-is"),
            remark=block.get("remark", ""),
        )
        _check(published)
        yield published


def _cells(block: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    """Method, benchmark, subset and number, for one method or for a table of several."""
    for benchmark, numbers in block.get("numbers", {}).items():
        for subset, number in numbers.items():
            yield block["method"], benchmark, subset, number
    table = dict(block.get("table", {}))
    methods = table.pop("methods", [])
    for subset, benchmarks in table.items():
        for benchmark, numbers in benchmarks.items():
            if len(numbers) != len(methods):
                raise PublishedError(
                    f"{block['source']}: {len(numbers)} numbers for {len(methods)} methods"
                )
            for method, number in zip(methods, numbers, strict=True):
                yield method, benchmark, subset, number


def _share(number: Any, block: Mapping[str, Any]) -> float:
    if type(number) not in (int, float) or not 0 <= number <= 100:
        raise PublishedError(f"{block['source']}: {number!r} is no percentage")
    return round(float(number) / 100, 6)


def _check(number: Published) -> None:
    if number.metric not in METRICS or number.trust not in get_args(Trust):
        raise PublishedError(f"{number.source}: {number.metric}, {number.trust}")
    if number.benchmark in OTHER_SETS:
        return
    if number.benchmark not in BENCHMARKS:
        raise PublishedError(f"{number.source}: no benchmark {number.benchmark}")
    known = {MEAN, *BENCHMARKS[number.benchmark].expected} - {SHARED}
    if unknown := set(number.subset.split("+")) - known:
        raise PublishedError(f"{number.source}: {number.benchmark} has no {', '.join(unknown)}")
