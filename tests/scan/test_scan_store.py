"""The store: opening, versions, writers at once, what goes wrong."""

import sqlite3
import subprocess
import sys

import pytest

from aligngemini.scan.store import Store, StoreError, from_column, to_column


def test_a_store_is_made_once_and_found_again(tmp_path):
    path = tmp_path / "s.sqlite"
    with Store(path, create=True) as store:
        mode = store.connection.execute("PRAGMA journal_mode").fetchone()[0]
        store.connection.execute("INSERT INTO detectors (fingerprint, about) VALUES ('f', '{}')")
    with Store(path) as store:
        assert store.connection.execute("SELECT fingerprint FROM detectors").fetchall() == [("f",)]
    assert mode == "wal"


def test_nothing_is_made_unless_asked_for(tmp_path):
    with pytest.raises(StoreError, match="there is no store at"):
        Store(tmp_path / "s.sqlite")
    assert not (tmp_path / "s.sqlite").exists()


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        ("text", "is no store"),
        ("foreign", "of another program"),
        ("later", "version 99, and this program reads"),
    ],
)
def test_what_is_no_store_of_ours_is_left_alone(tmp_path, prepare, says):
    path = tmp_path / "s.sqlite"
    {"text": text, "foreign": foreign, "later": later}[prepare](path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=says):
        Store(path, create=True)
    assert path.read_bytes() == before


def text(path):
    path.write_bytes(b"holiday photos" * 100)


def foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


def later(path):
    Store(path, create=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def test_processes_that_make_a_store_at_the_same_moment_share_it(tmp_path):
    path = tmp_path / "s.sqlite"
    code = (
        "import sys, pathlib\n"
        "from aligngemini.scan.store import Store\n"
        "sys.stdin.readline()\n"
        "with Store(pathlib.Path(sys.argv[1]), create=True) as store, store.transaction():\n"
        "    store.connection.execute('INSERT INTO detectors (fingerprint, about) "
        "VALUES (?, ?)', (sys.argv[2], '{}'))\n"
    )
    many = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(number)], stdin=subprocess.PIPE
        )
        for number in range(6)
    ]
    for process in many:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    assert [process.wait(60) for process in many] == [0] * 6
    with Store(path) as store:
        assert store.connection.execute("SELECT count(*) FROM detectors").fetchone() == (6,)


def test_a_transaction_is_written_whole_or_not_at_all(tmp_path):
    with Store(tmp_path / "s.sqlite", create=True) as store:
        with pytest.raises(StoreError, match="no such table"):
            half_a_transaction(store)
        assert store.connection.execute("SELECT count(*) FROM detectors").fetchone() == (0,)


def half_a_transaction(store):
    with store.transaction():
        store.connection.execute("INSERT INTO detectors (fingerprint, about) VALUES ('f', '')")
        store.connection.execute("INSERT INTO no_such_table VALUES (1)")


def test_a_lock_that_another_program_holds_is_named(tmp_path):
    path = tmp_path / "s.sqlite"
    with Store(path, create=True), Store(path, patience=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="keeps the store"), store.transaction():
            pass
        other.close()
        with store.transaction():
            pass


@pytest.mark.parametrize("address", ["a.jpg", "größe/ﬁ.png", "caf\udce9.jpg", "a.tar!b\udcff"])
def test_every_name_comes_back(tmp_path, address):
    with Store(tmp_path / "s.sqlite", create=True) as store:
        kept = store.connection.execute("SELECT ?", (to_column(address),)).fetchone()[0]
    assert from_column(kept) == address


def test_a_name_that_is_no_unicode_is_not_taken_for_its_escaped_form(tmp_path):
    assert to_column("caf\udce9") != to_column("caf\\udce9")
