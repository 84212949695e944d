"""Jobs: many images, judged when nothing more urgent waits, and finished after a restart too."""

import json
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from aligngemini.evidence import Problem
from aligngemini.scan import judge as scan_judge
from aligngemini.scan.items import ScanItem
from aligngemini.scan.judge import Identity, failed_record
from aligngemini.scan.run import Run
from aligngemini.scan.store import Store, StoreError
from aligngemini.serve.job_files import JobFiles, JobImage
from aligngemini.serve.job_results import JobResults
from aligngemini.serve.pool import BusyError
from aligngemini.serve.service import Service
from aligngemini.serve.worker import Answer, Task

STORE = "records.sqlite"
NOT_STORED = ("path", "words")
"""Of a result: the store has one record a content, wherever it lay."""
LOOK_AGAIN = 5.0  # seconds after which to look for what another process has left behind
PAUSE = 30.0  # seconds after which to try again where the store could not be written

log = logging.getLogger("aligngemini.serve")

Work = tuple[JobImage, "Future[Answer | Problem]"]


class Jobs:
    """The jobs of a service, and the thread that works on them.

    Attributes:
        files: What was asked for.
        results: What came of it.
    """

    def __init__(self, service: Service, folder: Path) -> None:
        """Open a folder of jobs; `start` begins with what is left to do there.

        Args:
            service: Judges; it is started.
            folder: Is made where it is not there. One service at a time has it.

        Raises:
            OSError, sqlite3.Error, StoreError: The folder or what is in it cannot be used.
        """
        self._service = service
        self._path = folder / STORE
        self.files = JobFiles(folder)
        Store(self._path, create=True).close()
        self.results = JobResults(self._path, service.fusion)
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is a new job."""
        self._wake.set()

    def remove(self, job: str) -> None:
        """Forget a job that is finished, and its results.

        Raises:
            StoreError: The store cannot be written.
        """
        self.results.forget(job)
        self.files.remove(job)

    def stop(self) -> None:
        """Begin no more; what is in hand is left for next time."""
        self._closing = True
        self._wake.set()

    def close(self) -> None:
        """Stop, and wait for the end of that."""
        self.stop()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._closing:
            with self._reported():
                self._run()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Log what stops the block, and wait for somebody to do something about it."""
        try:
            yield
        except (StoreError, sqlite3.Error, OSError) as error:
            log.error("jobs stand still: %s", error)
            self._wake.wait(PAUSE)
            self._wake.clear()

    def _run(self) -> None:
        """Work on jobs until the service ends.

        Raises:
            StoreError: The store cannot be used; what was committed is safe.
        """
        identity = Identity(self._service.identity)
        lease = 2 * self._service.settings.timeout + 60
        with Store(self._path) as store:
            run = Run(store, identity, command={"serve": "jobs"}, lease=lease)
            try:
                while not self._closing:
                    self._wake.clear()
                    for job in self.files.unfinished():
                        self._judge(run, job, identity.fusion)
                    self._wake.wait(LOOK_AGAIN)
            finally:
                run.end(whole=True)

    def _judge(self, run: Run, job: str, fusion: str) -> None:
        """Judge what is left of a job, a few images at a time."""
        todo = self._todo(run, job)
        window: deque[Work] = deque()
        while not self._closing:
            room = 2 * self._service.settings.workers - len(window)
            window.extend(self._begun(image) for image in islice(todo, room))
            if not window:
                break
            image, future = window.popleft()
            answer = future.result()
            if not self._closing:  # then it may be the end of the service that it tells of
                run.commit([_stored(image, answer, fusion)])
        for _, future in window:
            future.cancel()
        if not self._closing and self.results.done(job) == len(self.files.images(job)):
            self.files.finish(job)

    def _todo(self, run: Run, job: str) -> Iterator[JobImage]:
        """Images of a job that nobody has judged, taken into this run's hands one by one."""
        for image in self.files.images(job):
            if run.take(ScanItem(image.address, stamp=image.sha256)).state != "open":
                continue
            if run.content(image.sha256).state == "open":
                yield image
            else:  # judged already, in this job or another
                run.commit([scan_judge.Answer(image.address, image.sha256, image.sha256)])

    def _begun(self, image: JobImage) -> Work:
        """An image on its way to a worker, behind all that somebody waits for."""
        try:
            data = self.files.file(image.sha256).read_bytes()
            task = Task(image.name, data)
            return image, self._service.pool.submit([task], background=True)[0]
        except (OSError, BusyError) as error:
            failed: Future[Answer | Problem] = Future()
            failed.set_result(Problem("unreadable", f"cannot be read: {error}"))
            return image, failed


def _stored(image: JobImage, answer: Answer | Problem, fusion: str) -> scan_judge.Answer:
    """An answer as the store keeps it."""
    if isinstance(answer, Problem):
        record = failed_record(image.sha256, answer, fusion)
    else:
        given = json.loads(answer.body)
        record = json.dumps({key: given[key] for key in given if key not in NOT_STORED})
    return scan_judge.Answer(image.address, image.sha256, image.sha256, record)
