"""The command line that kills itself: `killed.py WHERE COUNT ARGUMENT...`.

WHERE is what it is about to do for the COUNT-th time when it dies, by SIGKILL.
"""

import os
import signal
import sys
from pathlib import Path

import standin

from aligngemini.cli import evaluate_run, main
from aligngemini.datasets.journal import Journal
from aligngemini.runner import DetectorOptions

PLACES = {
    "append": (Journal, "append"),
    "half a line": (Journal, "append"),
    "rename": (Path, "replace"),
}


def leave_out_slow_parts(set_attribute) -> None:
    """No audit and no reports: they take most of the time, and have tests of their own."""
    set_attribute(evaluate_run, "_audit_line", lambda rows: "none")
    set_attribute(evaluate_run, "_write_reports", lambda table, scores, out: [])


def die_at(place: str, count: int) -> None:
    owner, name = PLACES[place]
    function = getattr(owner, name)
    calls = 0

    def counting(*arguments, **settings):
        nonlocal calls
        calls += 1
        if calls == count:
            if place == "half a line":
                journal = arguments[0]
                journal._file.write(b'{"sha256": "')
                journal._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **settings)

    setattr(owner, name, counting)


if __name__ == "__main__":
    DetectorOptions.load = standin.load
    leave_out_slow_parts(setattr)
    if sys.argv[1] != "never":
        die_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
