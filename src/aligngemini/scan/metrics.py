"""A scan's numbers for Prometheus, as a text file that its node exporter collects."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligngemini.scan.tally import Tally

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PREFIX = "aligngemini_scan_"


class MetricsError(Exception):
    """The metrics cannot be written; the message says what to do."""


def check_metrics(path: Path) -> None:
    """Make sure, before any work, that metrics can be written.

    Raises:
        MetricsError: They cannot.
    """
    try:
        import prometheus_client  # noqa: F401, PLC0415 - of the scan extra
    except ImportError as error:
        raise MetricsError(
            "metrics need prometheus-client: pip install 'aligngemini[scan]'"
        ) from error
    if path.is_dir() or not path.parent.is_dir():
        raise MetricsError(f"cannot write metrics to {path}: name a file in a folder that exists")


def write_metrics(tally: Tally, path: Path) -> None:
    """Write the numbers of a run so far, whole or not at all.

    Args:
        tally: Of the run.
        path: Of the file, `.prom` where a node exporter looks for it.

    Raises:
        MetricsError: It cannot be written.
    """
    from prometheus_client import CollectorRegistry, write_to_textfile  # noqa: PLC0415 - see above

    registry = CollectorRegistry()
    registry.register(_Collector(tally))
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise MetricsError(f"cannot write metrics to {path}: {error.strerror}") from error


class _Collector:
    """Hands a tally's numbers to the client library."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> "Iterator[Metric]":
        """The numbers as they are now."""
        from prometheus_client.core import (  # noqa: PLC0415 - see above
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        tally = self._tally
        loads = {name: tally.load(seconds) for name, seconds in tally.branches.items()}
        counts: dict[str, tuple[str, str, Mapping[Any, float]]] = {
            "inputs": ("Inputs by what became of them.", "outcome", tally.outcomes),
            "verdicts": ("Images judged by this run.", "verdict", tally.verdicts),
            "errors": ("Inputs without a verdict.", "code", tally.errors),
            "stage_seconds": ("Time of all workers.", "stage", tally.seconds),
            "branch_seconds": ("Time of all workers.", "branch", tally.branches),
        }
        for name, (about, label, values) in counts.items():
            counter = CounterMetricFamily(f"{PREFIX}{name}", about, labels=[label])
            for value, count in values.items():
                counter.add_metric([value], count)
            yield counter
        load = GaugeMetricFamily(
            f"{PREFIX}branch_load", "Share of the workers' time.", labels=["branch"]
        )
        for name, share in loads.items():
            load.add_metric([name], share)
        yield load
        yield CounterMetricFamily(f"{PREFIX}read_bytes", "Bytes read.", value=tally.bytes)
        gauges = {
            "inputs_per_second": ("Since the run began.", tally.rate),
            "workers": ("Processes that judge.", tally.workers),
            "elapsed_seconds": ("Since the run began.", tally.elapsed),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(f"{PREFIX}{name}", about, value=value)
