"""How a service is set up."""

from dataclasses import dataclass, field
from pathlib import Path

from aligngemini.images.limits import Limits
from aligngemini.runner import DetectorOptions
from aligngemini.serve.keys import KeyRing
from aligngemini.serve.uploads import RequestLimits

JOB_LIMITS = RequestLimits(files=10_000, file_bytes=64 << 20, request_bytes=16 << 30)


@dataclass(frozen=True)
class ServiceSettings:
    """What `aligngemini serve` was told.

    Attributes:
        detector: What to judge with.
        workers: Processes.
        batch: Images that a worker takes at a time, at most; None takes what suits the device.
        queue: Images that may wait for a worker; beyond that, requests are refused. None takes
            twice what the workers take at once.
        timeout: Seconds for one image.
        request_timeout: Seconds for a whole request, the upload and the wait included.
        memory: Bytes a worker may add to what it took to load, or None.
        held_bytes: Bytes that the uploads of all requests may take together.
        limits: What one request may bring.
        max_pixels: Of one image.
        keys: Who may ask; None lets everybody.
        cors: Origins whose pages may ask.
        allow_urls: Whether callers may name images by URL.
        keep: Folder for what came in; None keeps nothing.
        scores: File for the counts of scores that tell of drift; None counts in memory alone.
        jobs: Folder for jobs; None takes none.
        job_limits: What one job may bring.
    """

    detector: DetectorOptions = field(default_factory=DetectorOptions)
    workers: int = 1
    batch: int | None = None
    queue: int | None = None
    timeout: float = 60.0
    request_timeout: float = 120.0
    memory: int | None = None
    held_bytes: int = 1 << 30
    limits: RequestLimits = field(default_factory=RequestLimits)
    max_pixels: int = Limits.max_pixels
    keys: KeyRing | None = None
    cors: tuple[str, ...] = ()
    allow_urls: bool = False
    keep: Path | None = None
    scores: Path | None = None
    jobs: Path | None = None
    job_limits: RequestLimits = JOB_LIMITS
