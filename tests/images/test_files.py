"""Reading bytes: never a wait, always a code."""

import os
import socket
import sys

import pytest

from aligngemini.images.decode import Limits, read_bytes
from aligngemini.images.item import ImageError

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and permissions of POSIX")


def code_of(path, **limits) -> str:
    with pytest.raises(ImageError) as caught:
        read_bytes(path, limits=Limits(**limits))
    assert caught.value.message
    return caught.value.code


def test_bytes_come_back_whole(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\0\r\n\x1a" * 1000)
    assert read_bytes(path) == read_bytes(str(path)) == b"\0\r\n\x1a" * 1000


def test_size_at_and_over_the_limit(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    assert len(read_bytes(path, limits=Limits(max_bytes=100))) == 100
    assert code_of(path, max_bytes=99) == "too-large"


def test_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no room
    assert code_of(path) == "too-large"


def test_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert code_of(tmp_path / "a.jpg") == "empty"


def test_what_is_not_there(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    for path in ("missing.jpg", "file/a.jpg", "link.jpg", "a\0b.jpg"):
        assert code_of(f"{tmp_path}/{path}") == "not-found"
    assert code_of("") == "not-found"


def test_folder_and_endless_link(tmp_path):
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert code_of(tmp_path) == "unreadable"
    assert code_of(tmp_path / "loop.jpg") == "unreadable"
    assert code_of(tmp_path / ("x" * 300)) == "unreadable"


@posix
@pytest.mark.timeout(20)
def test_pipes_sockets_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert code_of(tmp_path / "pipe.jpg") == "unreadable"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        assert code_of(tmp_path / "socket") == "unreadable"
    assert code_of("/dev/zero") == "unreadable"


@posix
def test_what_is_no_file_is_not_even_opened(tmp_path, monkeypatch):
    # Opening some devices does something, and opening a pipe lets its writer go on.
    os.mkfifo(tmp_path / "pipe.jpg")
    opened = []
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    assert code_of(tmp_path / "pipe.jpg") == "unreadable"
    assert opened == []


@posix
def test_file_without_permission(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert code_of(path) == "unreadable"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take only UTF-8 names")
def test_name_that_is_no_utf8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")
    with open(path, "wb") as file:  # noqa: PTH123 - the point is the string
        file.write(b"x")
    assert read_bytes(path) == b"x"
