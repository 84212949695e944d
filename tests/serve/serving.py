"""A real server in a process of its own."""

import re
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest


@contextmanager
def serving(options, *arguments):
    """A server in a process of its own, and its address."""
    model, *_ = options.pixel
    command = [sys.executable, "-m", "aligngemini", "serve", "--port", "0", "--pixel", model]
    command += ["--gamma", "off", "--workers", "1", *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(r"listening on (http://\S+)/", line):
                break
        else:
            pytest.fail("it does not listen")
        yield process, found[1]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
