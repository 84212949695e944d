import os
import signal

import pytest

from aligngemini.cli import detect, main
from aligngemini.cli.stopping import Stopped, Stopper


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_a_signal_stops_at_once_outside_of_a_record():
    with Stopper().listening(), pytest.raises(Stopped) as stopped:
        interrupt(signal.SIGTERM)
    assert stopped.value.code == 143


def count_signals_in_hand(stopper, signals, steps):
    with stopper.held():
        for step in range(signals):
            interrupt()
            steps.append(step)


@pytest.mark.parametrize(("signals", "done"), [(1, [0]), (2, [0])])
def test_a_record_in_hand_is_finished_but_not_at_any_price(signals, done):
    """The first signal waits for it; a second one does not, for it may hang."""
    stopper, steps = Stopper(), []
    with stopper.listening(), pytest.raises(Stopped):
        count_signals_in_hand(stopper, signals, steps)
    assert steps == done


def test_a_signal_stops_once():
    stopper = Stopper()
    with stopper.listening():
        with pytest.raises(Stopped), stopper.held():
            interrupt()
        with stopper.held():
            pass


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGTERM)
    with Stopper().listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stopper().listening():
            interrupt(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_before_there_is_anything_to_stop_ends_quietly(monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(detect, "main", interrupted)
    assert main(["detect", "a.jpg"]) == 130
