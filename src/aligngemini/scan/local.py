"""The scan on one machine: inputs through a detector in worker processes."""

from collections.abc import Callable, Generator, Iterable
from functools import partial

from aligngemini.cores import usable_cores
from aligngemini.evidence import Problem
from aligngemini.isolation_stream import stream_isolated
from aligngemini.isolation_worker import ask
from aligngemini.runner import (
    LARGE_MEMORY,
    LARGE_TIMEOUT,
    MEMORY,
    TIMEOUT,
    DetectorOptions,
    any_large,
    default_workers,
)
from aligngemini.scan.items import ScanItem
from aligngemini.scan.judge import Answer, ScanJudge, identify, lost, nothing_alike, unknown


class LocalEngine:
    """Judges inputs in processes of this machine, each with limits on time and memory.

    Attributes:
        identity: Of the detector.
        workers: Processes.
        timeout: Seconds one input may take.
    """

    def __init__(
        self,
        options: DetectorOptions,
        *,
        workers: int | None = None,
        timeout: float | None = None,
        memory: int | None = None,
        near: bool = False,
    ) -> None:
        """Find out which detector it is.

        Args:
            options: What to judge with.
            workers: Processes; None takes one a core, or one alone with a large model.
            timeout: Seconds one input may take; None takes a minute, or ten with a large model.
            memory: Bytes a worker may take beyond what loading took; None takes 4 GB, or 16 with a
                large model.
            near: Whether to look for near-duplicates.

        Raises:
            WorkerStartError: The detector cannot be loaded; the cause is what `Detector.load`
                raised.
        """
        large = any_large(options)
        self.workers = workers or default_workers(options)
        self.timeout = timeout or (LARGE_TIMEOUT if large else TIMEOUT)
        self._memory = memory or (LARGE_MEMORY if large else MEMORY)
        self._options = options
        self._near = near
        self.identity = identify(options)

    def answers(
        self,
        items: Iterable[ScanItem | None],
        known: Callable[[str], bool] = unknown,
        alike: Callable[[tuple[str, int]], str | None] = nothing_alike,
    ) -> Generator[Answer, None, None]:
        """An answer for each input, in any order.

        Args:
            items: May be endless, and are taken one at a time; a None among them says that there
                is nothing just now.
            known: Told, in this process, the SHA-256 of each content before it is decoded; says
                whether its record is there already.
            alike: Likewise told SHA-256 and perceptual hash, where near-duplicates are looked for;
                gives the record to take over, or None.

        Raises:
            WorkerStartError: A worker could not load the detector.
        """
        # What each worker has read. A worker that dies takes its input along, not this.
        read: dict[str, str] = {}

        def reply(item: ScanItem, question: str | tuple[str, int]) -> bool | str | None:
            if isinstance(question, tuple):
                return alike(question)
            read[item.address] = question
            return known(question)

        prepare = partial(
            ScanJudge,
            self._options,
            threads=max(1, usable_cores() // self.workers),
            known=ask,
            alike=ask if self._near else None,
            fingerprint=self.identity.fingerprint,
        )
        results = stream_isolated(
            prepare,
            items,
            workers=self.workers,
            timeout=self.timeout,
            memory=self._memory,
            reply=reply,
        )
        for item, answer in results:
            sha256 = read.pop(item.address, None)
            if isinstance(answer, Problem):
                yield lost(item, sha256, answer, self.identity.fusion)
            else:
                yield answer
