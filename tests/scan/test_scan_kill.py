"""Killed at any moment and resumed, or shared by several processes: the same rows."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from fixtures.models import brightness_folder
from fixtures.scan_inputs import drawn_files

from aligngemini.scan.store import Store

KILLS = 5

# Commits often, so that a kill finds something done, and something not.
SCRIPT = """
import sys
from aligngemini.cli import main
from aligngemini.scan import loop
loop.BATCH = 16
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    model = str(brightness_folder(tmp_path_factory.mktemp("models") / "m"))

    def start(folder, store):
        return subprocess.Popen(
            [
                *(sys.executable, "-c", SCRIPT, "scan", folder, "--store", store),
                *("--pixel", model, "--workers", "1"),
            ],
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    return start


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """300 files of 200 contents."""
    folder = tmp_path_factory.mktemp("photos")
    paths = drawn_files(folder, 200)
    for path in paths[::2]:
        os.link(path, folder / f"copy-{path.name}")
    return folder


@pytest.fixture(scope="module")
def undisturbed(start, photos, tmp_path_factory):
    store = tmp_path_factory.mktemp("stores") / "s.sqlite"
    with start(photos, store) as process:
        process.communicate()
    return rows(store)


def rows(path):
    """What is in a store, each input and each judgment, but for ids and times."""
    with Store(path) as store:
        query = store.connection.execute
        assert query("SELECT count(*) FROM claims").fetchone() == (0,)
        inputs = query("SELECT address, stamp, sha256, size, error FROM inputs").fetchall()
        judgments = query("SELECT sha256, verdict, score, error FROM judgments").fetchall()
    assert len(inputs) == len({row[0] for row in inputs})
    return sorted(inputs), sorted(judgments)


def count(path):
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM inputs").fetchone()[0]
        except sqlite3.OperationalError:  # before the tables are made
            return 0


def test_the_undisturbed_run_has_every_file_once(undisturbed, photos):
    inputs, judgments = undisturbed
    assert {row[0] for row in inputs} == {str(path) for path in photos.iterdir()}
    assert len(judgments) == len({row[0] for row in judgments})


def test_killed_at_random_moments_and_resumed(start, photos, undisturbed, tmp_path):
    store = tmp_path / "s.sqlite"
    moments = random.Random(7)
    kills = 0
    while kills < KILLS:
        process = start(photos, store)
        # Not before something was written, so that each start gets a little further.
        done = count(store)
        while process.poll() is None and count(store) == done and done < len(undisturbed[0]):
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))
        if process.poll() is not None:
            break  # it was done before it was killed: as good as it gets
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    assert kills >= 3
    with start(photos, store) as process:
        process.communicate()
    assert process.returncode == 1
    assert rows(store) == undisturbed


def test_ctrl_c_commits_what_was_answered(start, photos, undisturbed, tmp_path):
    store = tmp_path / "s.sqlite"
    process = start(photos, store)
    while process.poll() is None and count(store) == 0:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 130, said
    assert said.endswith("stopped; the same command goes on from here\n")
    inputs, judgments = rows(store)
    assert set(inputs) < set(undisturbed[0])
    assert set(judgments) <= set(undisturbed[1])


def test_processes_that_share_a_store_share_the_work(start, photos, undisturbed, tmp_path):
    store = tmp_path / "s.sqlite"
    several = [start(photos, store) for _ in range(2)]
    said = [process.communicate()[1].decode() for process in several]
    assert [process.returncode for process in several] == [1, 1], said
    assert rows(store) == undisturbed
    with Store(store) as opened:
        summaries = opened.connection.execute("SELECT summary FROM runs").fetchall()
    counts = [json.loads(summary)["inputs"] for (summary,) in summaries]
    answered = sum(sum(one.values()) - one.get("before", 0) for one in counts)
    assert answered == len(undisturbed[0])
