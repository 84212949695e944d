"""Public benchmarks: one module each, from the folders on a disk to rows of a manifest."""

from aligngemini.benchmarks.base import (
    SHARED,
    Benchmark,
    BenchmarkError,
    Expected,
    Found,
    Hole,
)
from aligngemini.benchmarks.discover import discover, only
from aligngemini.benchmarks.registry import BENCHMARKS, NAMES, open_benchmark

__all__ = [
    "BENCHMARKS",
    "NAMES",
    "SHARED",
    "Benchmark",
    "BenchmarkError",
    "Expected",
    "Found",
    "Hole",
    "discover",
    "only",
    "open_benchmark",
]
