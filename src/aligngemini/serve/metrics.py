"""What Prometheus is told."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aligngemini.calibration.drift import Drift
from aligngemini.serve.worker import Answer

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class Metrics:
    """Counters of one service; none of them knows an image by name."""

    def __init__(self, drifts: Callable[[], Mapping[str, Drift]]) -> None:
        """Begin with nothing.

        Args:
            drifts: Gives what the last comparison of each branch's scores says.
        """
        self._registry = CollectorRegistry()
        self._registry.register(_Drifts(drifts))
        self._requests = Counter(
            "aligngemini_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "aligngemini_request_seconds",
            "From a request's first byte to its answer's last",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._images = Counter(
            "aligngemini_images",
            "Images judged, by verdict; none where there is no verdict",
            ("verdict",),
            registry=self._registry,
        )
        self._errors = Counter(
            "aligngemini_image_errors",
            "Images that could not be judged, by code",
            ("code",),
            registry=self._registry,
        )
        self._branches = Histogram(
            "aligngemini_branch_seconds",
            "Time of a branch for an image",
            ("branch",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._failed = Counter(
            "aligngemini_branch_errors",
            "Images that a branch had no answer to",
            ("branch",),
            registry=self._registry,
        )

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a number that is looked up when it is asked for."""
        Gauge(f"aligngemini_{name}", about, registry=self._registry).set_function(value)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Count an image."""
        self._images.labels(answer.verdict or "none").inc()
        if answer.problem is not None:
            self._errors.labels(answer.problem.code).inc()
        for branch, seconds in answer.seconds:
            self._branches.labels(branch).observe(seconds)
        for branch in answer.failed:
            self._failed.labels(branch).inc()

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self._registry)


class _Drifts(Collector):
    """What days that are over say, looked up when it is asked for."""

    def __init__(self, drifts: Callable[[], Mapping[str, Drift]]) -> None:
        self._drifts = drifts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        warned = GaugeMetricFamily(
            "aligngemini_drift_warned",
            "Whether the last day's scores are another kind's",
            labels=["branch"],
        )
        effect = GaugeMetricFamily(
            "aligngemini_drift_effect",
            "Largest difference of the shares of images that reach a score",
            labels=["branch"],
        )
        for branch, found in self._drifts().items():
            warned.add_metric([branch], float(found.warned))
            effect.add_metric([branch], found.effect)
        yield warned
        yield effect
