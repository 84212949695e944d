"""Workers behind a queue: what is lost, what is refused, what is shared."""

import faulthandler
import multiprocessing
import os
import signal
import time
from pathlib import Path
from threading import Event

import pytest

from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError
from aligngemini.serve.pool import BusyError, Pool


class Unreadable:
    """Goes into a pipe and does not come out."""

    def __reduce__(self):
        return _refuse, ()


def _refuse():
    if multiprocessing.parent_process() is None:
        raise LookupError("not to be read")
    return Unreadable()


def _one(item):
    match item:
        case "raise":
            raise ValueError("no such colour")
        case "segfault":
            faulthandler.disable()  # pytest's
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            Event().wait()
        case "unreadable":
            return Unreadable()
        case "greedy":
            return len(bytearray(1 << 30))
        case ("wait for", fifo):
            Path(fifo).read_bytes()
        case ("release", fifo):
            Path(fifo).write_bytes(b"go")
    return item


def _answer(items):
    """Answers say how many were taken together, and by whom."""
    return [(_one(item), len(items), os.getpid()) for item in items] or [("loaded", 0, os.getpid())]


def answering():
    return _answer


def failing():
    raise FileNotFoundError("no model there")


def dying():
    os._exit(4)


def pool_of(prepare=answering, **settings):
    defaults = {"workers": 1, "batch": 4, "capacity": 8, "timeout": 20.0, "memory": None}
    return Pool(prepare, **(defaults | settings))


@pytest.fixture
def started():
    pools = []

    def start(**settings):
        pools.append(pool_of(**settings))
        pools[-1].start()
        return pools[-1]

    yield start
    for pool in pools:
        pool.close(finish=False)


@pytest.fixture
def held(tmp_path):
    """An item that keeps its worker until told, and what tells it."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    return ("wait for", str(fifo)), lambda: fifo.write_bytes(b"go")


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def results(futures):
    return [future.result(timeout=30) for future in futures]


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_waits_is_taken_together_whoever_sent_it(started, held):
    item, release = held
    pool = started()
    first = pool.submit([item])
    until(lambda: pool.waiting == 0)
    others = [*pool.submit([1]), *pool.submit([2, 3]), *pool.submit([4]), *pool.submit([5])]
    release()
    assert [answer[:2] for answer in results([*first, *others])] == [
        (item, 1),
        *((k, 4) for k in (1, 2, 3, 4)),
        (5, 1),
    ]


def test_what_waits_is_shared_among_free_workers(started, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pool = started(workers=2, batch=8)
    answers = results(pool.submit([("wait for", str(fifo)), ("release", str(fifo))]))
    assert len({pid for _, _, pid in answers}) == 2


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("hang", "timeout", "not done after 0.5 seconds"),
        ("raise", "internal", "no such colour"),
        ("greedy", "crashed", "memory"),
        ("unreadable", "internal", "not to be read"),
    ],
)
def test_a_bad_item_costs_itself_only(started, held, bad, code, said):
    item, release = held
    pool = started(timeout=0.5 if bad == "hang" else 20, memory=256 << 20)
    if bad == "hang":  # the one that holds the worker would be late too
        futures = pool.submit([1, bad, 2, 3])
    else:
        first = pool.submit([item])
        until(lambda: pool.waiting == 0)
        futures = pool.submit([1, bad, 2, 3])
        release()
        results(first)
    answers = results(futures)
    assert isinstance(answers[1], Problem)
    assert answers[1].code == code
    assert said in answers[1].message
    assert [answer[0] for k, answer in enumerate(answers) if k != 1] == [1, 2, 3]
    assert results(pool.submit([4]))[0][0] == 4


def test_a_full_queue_refuses_at_once_and_all_of_it(started, held):
    item, release = held
    pool = started(capacity=2)
    first = pool.submit([item])
    until(lambda: pool.waiting == 0)
    taken = pool.submit([1]) + pool.submit([2, 3])  # the last may go beyond
    with pytest.raises(BusyError) as caught:
        pool.submit([4])
    assert caught.value.seconds >= 1
    assert pool.waiting == 3
    release()
    assert [answer[0] for answer in results(first + taken)] == [item, 1, 2, 3]


def test_background_work_comes_last_and_keeps_nobody_out(started, held):
    item, release = held
    pool = started(capacity=2, batch=1)
    first = pool.submit([item])
    until(lambda: pool.waiting == 0)
    done = []
    later = pool.submit(["a", "b", "c"], background=True)
    sooner = pool.submit([1, 2])
    for future in (*later, *sooner):
        future.add_done_callback(lambda future: done.append(future.result()[0]))
    release()
    results([*first, *later, *sooner])
    assert done == [1, 2, "a", "b", "c"]


def test_what_nobody_waits_for_any_more_is_not_judged(started, held, tmp_path):
    item, release = held
    pool = started(batch=1)
    first = pool.submit([item])
    until(lambda: pool.waiting == 0)
    dropped, kept = pool.submit(["segfault", 1])
    assert dropped.cancel()
    release()
    results([*first, kept])
    assert pool.lost == 0


def test_closing_finishes_what_was_taken_and_takes_no_more(started, held):
    item, release = held
    pool = started(batch=1)
    futures = pool.submit([item, 1, 2])
    pids = {pool.loaded[0][2]}
    release()
    pool.close()
    assert [answer[0] for answer in results(futures)] == [item, 1, 2]
    with pytest.raises(BusyError):
        pool.submit([3])
    assert all(map(is_gone, pids))


def test_closing_at_once_answers_all_the_same(started, held):
    item, _ = held
    pool = started()
    futures = pool.submit([item, 1])
    pool.close(finish=False)
    assert all(isinstance(answer, Problem) for answer in results(futures))


def test_a_worker_that_dies_with_nothing_to_do_is_replaced_and_costs_nothing(started):
    pool = started()
    victim = pool.loaded[0][2]
    os.kill(victim, signal.SIGKILL)
    until(lambda: pool.lost == 1 and pool.ready == 1)
    ((answer, _, pid),) = results(pool.submit([1]))
    assert answer == 1
    assert pid != victim


def test_a_worker_that_is_stopped_is_given_up(started):
    pool = started(timeout=0.5)
    victim = pool.loaded[0][2]
    os.kill(victim, signal.SIGSTOP)
    (answer,) = results(pool.submit([bytes(1 << 20)]))  # more than a pipe takes by itself
    assert answer.code == "timeout"
    assert results(pool.submit([1]))[0][0] == 1


@pytest.mark.parametrize(("prepare", "said"), [(failing, "no model there"), (dying, "exit code 4")])
def test_what_does_not_load_is_said_at_the_start(prepare, said):
    with pytest.raises(WorkerStartError, match=said):
        pool_of(prepare, workers=2).start()
