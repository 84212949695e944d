"""From what the user names to image paths."""

import io
import itertools
import json
import os
import sys
from pathlib import Path

import pytest

from aligngemini.images.sources import Item, Skipped, expand
from aligngemini.verdict import Verdict

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and permissions of POSIX")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def paths(*inputs: str, **options) -> list[str]:
    items = list(expand(inputs, **options))
    assert [item for item in items if item.problem] == []
    return [item.path for item in items]


def codes(*inputs: str) -> list[tuple[str, str | None]]:
    return [(item.path, item.problem and item.problem.code) for item in expand(inputs)]


def test_files_keep_the_order_given_and_their_names():
    touch("b.jpg", "a.txt", "sub/c.png")
    assert paths("b.jpg", "a.txt", "./sub/c.png", "b.jpg") == [
        "b.jpg",
        "a.txt",  # named directly, so judged whatever it is
        "./sub/c.png",
        "b.jpg",
    ]


def test_folders_are_walked_in_sorted_order():
    touch("d/b.JPG", "d/a/z.png", "d/a/y.webp", "d/c.heic", "other/q.gif")
    assert paths("other", "./d") == [
        "other/q.gif",
        "./d/a/y.webp",
        "./d/a/z.png",
        "./d/b.JPG",
        "./d/c.heic",
    ]


def test_hidden_entries_of_folders_are_left_out_but_not_when_named():
    touch("d/.hidden.jpg", "d/.git/a.jpg", "d/a.jpg", ".shown/a.jpg")
    assert paths("d", ".shown", "d/.hidden.jpg") == ["d/a.jpg", ".shown/a.jpg", "d/.hidden.jpg"]


def test_files_that_are_no_images_are_counted(encoded):
    touch("d/notes.txt", "d/a.jpg", "d/e/data.csv", *(f"d/f{k}.txt" for k in range(5)))
    for name in ("d/download", "d/photo.jpg_1"):
        Path(name).write_bytes(encoded["PNG"])
    skipped = Skipped()
    assert paths("d", skipped=skipped) == ["d/a.jpg", "d/download", "d/photo.jpg_1"]
    assert skipped.count == 7
    assert skipped.names == ["d/e/data.csv", "d/f0.txt", "d/f1.txt", "d/f2.txt", "d/f3.txt"]


@posix
def test_links_cannot_loop():
    touch("d/a.jpg", "elsewhere/b.jpg")
    Path("d/self").symlink_to(Path("d").resolve())
    Path("d/to").symlink_to(Path("elsewhere").resolve())
    Path("d/twice").symlink_to(Path("elsewhere").resolve())
    Path("d/z.jpg").symlink_to("nowhere")
    assert paths("d") == ["d/a.jpg", "d/to/b.jpg", "d/z.jpg"]


def test_patterns_are_expanded_when_the_shell_did_not():
    touch("d/b.jpg", "d/a.jpg", "d/c.png", "d/e/f.jpg")
    assert paths("d/*.jpg") == ["d/a.jpg", "d/b.jpg"]
    assert paths("d/[bc].*") == ["d/b.jpg", "d/c.png"]
    assert paths("**/*.jpg") == ["d/a.jpg", "d/b.jpg", "d/e/f.jpg"]


def test_pattern_that_finds_a_folder_and_what_is_in_it_gives_each_file_once():
    touch("d/a.jpg", "d/e/f.jpg", "d/e/g.txt", "d-/b.jpg")
    assert sorted(paths("**")) == ["d-/b.jpg", "d/a.jpg", "d/e/f.jpg"]
    assert sorted(paths("d/**")) == ["d/a.jpg", "d/e/f.jpg"]
    assert paths("d/*") == ["d/a.jpg", "d/e/f.jpg"]


def test_literal_names_win_over_patterns():
    touch("a[1].jpg", "a1.jpg", "d*/x.jpg", "dd/y.jpg", "*.png", "b.png")
    assert paths("a[1].jpg", "d*", "*.png") == ["a[1].jpg", "d*/x.jpg", "*.png"]


def test_inputs_that_lead_nowhere_are_items():
    touch("a.jpg")
    assert codes("missing.jpg", "a.jpg", "*.nope", "a.jpg/b", "", "a\0b") == [
        ("missing.jpg", "not-found"),
        ("a.jpg", None),
        ("*.nope", "not-found"),
        ("a.jpg/b", "not-found"),
        ("", "not-found"),
        ("a\0b", "not-found"),
    ]


@posix
def test_folder_without_permission():
    touch("d/a.jpg", "d/locked/b.jpg", "d/z.jpg")
    Path("d/locked").chmod(0)
    try:
        if os.access("d/locked", os.R_OK):
            pytest.skip("this user may read everything")
        assert codes("d") == [
            ("d/a.jpg", None),
            ("d/locked", "unreadable"),
            ("d/z.jpg", None),
        ]
        assert codes("d/locked/b.jpg") == [("d/locked/b.jpg", "unreadable")]
    finally:
        Path("d/locked").chmod(0o700)


def test_folder_that_cannot_be_listed(monkeypatch):
    # For those who may read everything; the case above is the real one.
    touch("d/a.jpg", "d/locked/b.jpg")
    listdir = os.listdir

    def refuse(folder):
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    assert codes("d") == [("d/a.jpg", None), ("d/locked", "unreadable")]


@posix
@pytest.mark.timeout(20)
def test_pipes_in_folders_do_not_hang():
    touch("d/a.jpg")
    os.mkfifo("d/pipe")
    os.mkfifo("d/pipe.jpg")
    skipped = Skipped()
    assert paths("d", skipped=skipped) == ["d/a.jpg", "d/pipe.jpg"]  # reading will refuse it
    assert skipped.names == ["d/pipe"]


def test_standard_input_is_one_path_a_line():
    touch("a.jpg", " b .jpg", "d/c.png", "e*.jpg", "ee.jpg")
    lines = io.StringIO("a.jpg\r\n\n b .jpg\n   \nd\ne*.jpg\nmissing*.jpg\nee.jpg")
    items = list(expand(["ee.jpg", "-", "a.jpg"], stdin=lines))
    expected = [
        "ee.jpg",
        "a.jpg",
        " b .jpg",
        "d/c.png",
        "e*.jpg",
        "missing*.jpg",
        "ee.jpg",
        "a.jpg",
    ]
    assert [item.path for item in items] == expected
    assert [item.path for item in items if item.problem] == ["missing*.jpg"]


def test_standard_input_is_never_read_ahead():
    endless = (f"missing-{k}.jpg\n" for k in itertools.count())
    first = list(itertools.islice(expand(["-"], stdin=endless), 3))
    assert [item.path for item in first] == [f"missing-{k}.jpg" for k in range(3)]
    assert next(endless) == "missing-3.jpg\n"


def test_dash_is_a_name_where_nothing_is_piped_in():
    assert codes("-") == [("-", "not-found")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only UTF-8 names")
def test_names_that_are_no_utf8_survive():
    name = os.fsdecode(b"d/caf\xe9.jpg")
    touch(name)
    piped = io.TextIOWrapper(io.BytesIO(b"d/caf\xe9.jpg\r\n"), encoding="utf-8", errors="strict")
    assert paths("d") == paths(name) == paths("-", stdin=piped) == [name]
    assert json.loads(Verdict(path=name).to_json())["path"] == name


def test_items_are_plain_values():
    assert Item("a.jpg") == Item("a.jpg", None)
