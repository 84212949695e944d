import os

import pytest

from aligngemini.report.files import replacing


def test_file_appears_whole(tmp_path):
    target = tmp_path / "page.html"
    with replacing(target) as file:
        file.write(b"half")
        file.flush()
        assert not target.exists()
        file.write(b" and half")
    assert target.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [target]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "page.html"
    target.write_bytes(b"old")

    def fail():
        with replacing(target) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(os.name == "nt", reason="file modes are a matter of POSIX")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    target = tmp_path / "page.html"
    (tmp_path / "plain").touch()
    with replacing(target) as file:
        file.write(b"x")
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_link_is_followed(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = tmp_path / "page.html"
    link.symlink_to(folder / "page.html")
    with replacing(link) as file:
        file.write(b"x")
    assert link.is_symlink()
    assert (folder / "page.html").read_bytes() == b"x"


def test_folder_is_not_replaced(tmp_path):
    with pytest.raises(OSError, match="not a regular file"), replacing(tmp_path):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="no device to try it on")  # noqa: PTH110
def test_device_is_not_replaced():
    from pathlib import Path

    with pytest.raises(OSError, match="not a regular file"), replacing(Path(os.devnull)):
        pass
    assert not Path(os.devnull).is_file()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"), replacing(tmp_path / "a" / "b"):
        pass
