"""The benchmarks by name."""

from aligngemini.benchmarks import (
    aigcdetect,
    aigi_now,
    aigibench,
    bfree,
    chameleon,
    cospy,
    dda_coco,
    drct,
    evalgen,
    folder,
    forensynths,
    genimage,
    manifest,
    mnw,
    synthbuster,
    synthwildx,
    wildrf,
)
from aligngemini.benchmarks.base import Benchmark, BenchmarkError

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        genimage.BENCHMARK,
        drct.BENCHMARK,
        forensynths.BENCHMARK,
        aigcdetect.BENCHMARK,
        synthbuster.BENCHMARK,
        evalgen.BENCHMARK,
        dda_coco.BENCHMARK,
        aigi_now.BENCHMARK,
        cospy.BENCHMARK,
        mnw.BENCHMARK,
        chameleon.BENCHMARK,
        wildrf.BENCHMARK,
        bfree.BENCHMARK,
        aigibench.BENCHMARK,
        cospy.IN_THE_WILD,
        synthwildx.BENCHMARK,
        folder.BENCHMARK,
        manifest.BENCHMARK,
    )
}
"""All of them: generated for the purpose, collected in the wild, the user's own."""

NAMES = tuple(BENCHMARKS)


def open_benchmark(name: str) -> Benchmark:
    """A benchmark by its name, in whatever case.

    Raises:
        BenchmarkError: There is none of that name.
    """
    if name.lower() not in BENCHMARKS:
        raise BenchmarkError(f"no benchmark {name!r}; known: {', '.join(NAMES)}")
    return BENCHMARKS[name.lower()]
