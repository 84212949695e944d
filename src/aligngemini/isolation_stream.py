"""A map over worker processes for streams without end, whose workers may ask back.

The processes are those of `isolation`.
"""

from collections.abc import Callable, Generator, Iterable
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

from aligngemini.evidence import Problem
from aligngemini.isolation import Pool, Task, quick_context
from aligngemini.isolation_worker import Prepare

Item = TypeVar("Item")
Result = TypeVar("Result")


def stream_isolated(
    prepare: Prepare[Item, Result],
    items: Iterable[Item | None],
    *,
    workers: int,
    timeout: float,
    memory: int | None = None,
    reply: Callable[[Item, Any], Any] = lambda item, question: None,
    context: BaseContext | None = None,
) -> Generator[tuple[Item, Result | Problem], None, None]:
    """Apply a function to items in worker processes, in whatever order they are done.

    As `isolation.map_isolated`, but an item that takes long holds up no other, and no item is taken
    before a worker is free for it.

    Args:
        prepare: See there.
        items: See there; a None among them stands for no item. A source that takes its time gives
            one now and then, so that answers are not kept waiting.
        workers: See there.
        timeout: See there.
        memory: See there.
        reply: Called in this process for each `isolation_worker.ask` of a worker, with the item
            that the worker has in hand and the question; gives the reply. The item's time starts
            again with it.
        context: How processes start; None takes the quickest way.

    Returns:
        For each item the item, and its answer or the `Problem` that stands for it.

    Raises:
        WorkerStartError: See there.
    """
    pool = Pool[Item, Result](prepare, workers, timeout, memory, context or quick_context(), reply)
    answers = _stream(pool, items)
    next(answers)  # to the first yield: from here on closing the iterator ends the workers
    return answers


def _stream(pool: Pool[Item, Result], items: Iterable[Item | None]) -> Generator[Any, None, None]:
    source = iter(items)
    busy: list[tuple[Item, Task[Item, Result]]] = []
    more = True
    try:
        pool.start()
        yield None
        while True:
            done = [(item, task.answer) for item, task in busy if task.done]
            busy = [(item, task) for item, task in busy if not task.done]
            yield from done
            worker = pool.free_worker() if more else None
            if worker is not None:
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                    continue
                if item is None:
                    pool.wait(0)
                else:
                    task = Task[Item, Result](item)
                    busy.append((item, task))
                    pool.give(worker, task)
            elif more or busy:
                pool.wait()
            else:
                return
    finally:
        pool.close()
