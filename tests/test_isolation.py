import faulthandler
import itertools
import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path

import pytest

from aligngemini import isolation
from aligngemini.evidence import Problem
from aligngemini.isolation import WorkerStartError, map_isolated

linux = pytest.mark.skipif(sys.platform != "linux", reason="relies on Linux")


def _answer(item):
    """Comes back with the worker's id, unless the item makes the worker do something else."""
    match item:
        case "raise":
            raise ValueError("no such colour")
        case "unpicklable":
            return lambda: None
        case "greedy":
            return len(bytearray(1 << 30))
        case "print":
            os.write(1, b"from a C library\n")
        case ("wait for", fifo):
            Path(fifo).read_bytes()
        case ("release", fifo):
            Path(fifo).write_bytes(b"go")
        case ("clean up", path):
            try:
                Path(path).touch()
                threading.Event().wait()
            finally:
                Path(path).unlink()
        case _:
            _suffer(item)
    return item, os.getpid()


def _suffer(item):
    match item:
        case "segfault":
            faulthandler.disable()  # pytest's
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            os._exit(3)
        case "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        case "hang":
            threading.Event().wait()
        case "say and hang":
            os.write(2, b"hanging\n")
            threading.Event().wait()
        case "stubborn":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Event().wait()


def answering():
    return _answer


def failing():
    raise FileNotFoundError("no model there")


def dying():
    os._exit(4)


def run(items, *, prepare=answering, workers=2, timeout=30.0, memory=None):
    return list(map_isolated(prepare, items, workers=workers, timeout=timeout, memory=memory))


def items_of(answers):
    return [answer if isinstance(answer, Problem) else answer[0] for answer in answers]


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_answers_come_in_the_order_of_the_items_though_a_later_one_is_ready_first(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    items = [("wait for", str(fifo)), ("release", str(fifo)), 3, 4]
    assert items_of(run(items)) == items


def test_the_work_is_spread_over_all_workers(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    answers = run([("wait for", str(fifo)), ("release", str(fifo))])
    assert len({pid for _, pid in answers}) == 2


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("item", "code", "said"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 3"),
        ("raise", "internal", "ValueError: no such colour (test_isolation.py:"),
        ("unpicklable", "internal", "lambda"),
    ],
)
def test_what_goes_wrong_costs_its_own_item_only(workers, item, code, said):
    answers = items_of(run([1, item, 2, item, 3, 4], workers=workers))
    assert [answers[k] for k in (0, 2, 4, 5)] == [1, 2, 3, 4]
    for problem in (answers[1], answers[3]):
        assert problem.code == code
        assert said in problem.message


@pytest.mark.parametrize("item", ["hang", "stubborn"])
def test_an_item_that_hangs_is_given_up_and_its_process_ended(item):
    first, problem, last = run([1, item, 2], workers=1, timeout=0.3)
    assert problem == Problem("timeout", "not done after 0.3 seconds")
    assert (first[0], last[0]) == (1, 2)
    assert first[1] != last[1]
    assert is_gone(first[1])


@linux
def test_a_worker_that_takes_too_much_memory_loses_its_item():
    first, problem, last = run([1, "greedy", 2], workers=1, memory=256 << 20)
    assert problem.code == "crashed"
    assert "memory" in problem.message
    assert first == (1, last[1])  # the worker itself lives on


def test_a_worker_that_dies_with_nothing_to_do_costs_no_item():
    answers = map_isolated(answering, itertools.count(), workers=1, timeout=30)
    _, victim = next(answers)
    os.kill(victim, signal.SIGKILL)
    os.waitid(os.P_PID, victim, os.WEXITED | os.WNOWAIT)
    after = list(itertools.islice(answers, 3))
    answers.close()
    assert items_of(after) == [1, 2, 3]
    assert victim not in {pid for _, pid in after}


def test_the_source_is_read_no_further_than_the_limit(monkeypatch):
    monkeypatch.setattr(isolation, "IN_FLIGHT", 8)
    taken = 1

    def source():
        nonlocal taken
        yield "hang"
        while True:
            taken += 1
            yield taken

    answers = map_isolated(answering, source(), workers=2, timeout=0.3)
    assert next(answers).code == "timeout"
    assert taken == 8
    answers.close()


def test_an_answer_is_handed_out_before_the_source_is_asked_again():
    handed = []

    def source():
        for item in range(5):
            assert len(handed) == item  # with one worker: all answers so far were handed out
            yield item

    for item, _ in map_isolated(answering, source(), workers=1, timeout=30):
        handed.append(item)
    assert handed == [0, 1, 2, 3, 4]


def test_no_items_make_no_answers():
    assert run([]) == []


def test_a_failed_start_is_one_error_with_its_cause():
    with pytest.raises(WorkerStartError, match="no model there") as caught:
        run(range(5), prepare=failing)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_workers_that_die_while_starting_end_the_run():
    with pytest.raises(WorkerStartError, match="exit code 4"):
        run(range(5), prepare=dying)


def test_closing_ends_the_workers():
    answers = map_isolated(answering, itertools.count(), workers=2, timeout=30)
    pids = {next(answers)[1] for _ in range(20)}
    answers.close()
    assert all(is_gone(pid) for pid in pids)


def test_closing_does_not_wait_for_work_in_hand():
    answers = map_isolated(answering, [1, "stubborn"], workers=1, timeout=3000)
    _, pid = next(answers)
    answers.close()
    assert is_gone(pid)


def test_closing_lets_work_in_hand_clean_up(tmp_path):
    path = tmp_path / "half-written"
    items = iter([("clean up", str(path))])
    answers = map_isolated(answering, items, workers=1, timeout=3000)
    threading.Thread(target=_close_once_there, args=(path,)).start()
    with pytest.raises(KeyboardInterrupt):
        next(answers)
    assert not path.exists()


def _close_once_there(path):
    while not path.exists():
        pass
    os.kill(os.getpid(), signal.SIGINT)


def test_workers_leave_ctrl_c_to_the_parent():
    assert items_of(run([1, "interrupt", 2])) == [1, "interrupt", 2]


def test_what_a_worker_prints_is_kept_from_standard_output(capfd):
    run(["print"])
    out, err = capfd.readouterr()
    assert out == ""
    assert "from a C library" in err


def test_the_other_start_method_does_the_same(monkeypatch):
    monkeypatch.setattr(isolation, "quick_context", lambda: get_context("spawn"))
    answers = items_of(run([1, "exit", 2], workers=1))
    assert answers == [1, Problem("crashed", "the process that judged it died (exit code 3)"), 2]
    with pytest.raises(WorkerStartError, match="no model there"):
        run([1], prepare=failing, workers=1)


ORPHANS = """
import itertools, signal, sys
sys.path.insert(0, {folder!r})
from aligngemini import isolation_worker
from aligngemini.isolation import map_isolated
from test_isolation import answering

isolation_worker.ORPHAN_GRACE = 0
answers = map_isolated(answering, ["a", {last!r}], workers=1, timeout=1)
next(answers)
if {last!r} == "b":
    print("ready", file=sys.stderr, flush=True)
    signal.pause()
next(answers)
"""


@linux
@pytest.mark.parametrize("last", ["b", "say and hang"])
def test_workers_end_when_their_parent_is_killed(last):
    script = ORPHANS.format(folder=str(Path(__file__).parent), last=last)
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE) as parent:
        assert parent.stderr.readline() in {b"ready\n", b"hanging\n"}
        parent.kill()
        # Workers hold standard error open: it ends when the last of them has.
        parent.communicate(timeout=60)
