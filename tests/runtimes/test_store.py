"""Where installed models live, by which names they are found, and how they go."""

from pathlib import Path

import platformdirs
import pytest
from fixtures.experts import expert_folder

from aligngemini.runtimes.folder import ModelError, find_folder, open_folder, shipped_models
from aligngemini.runtimes.installing import installed_path, new_folder, remove_model
from aligngemini.runtimes.store import installed_models, models_home

pytest_plugins = ["fixtures.hub_client"]


def test_the_users_data_folder_is_the_default(monkeypatch):
    monkeypatch.delenv("ALIGNGEMINI_HOME", raising=False)
    assert models_home().is_relative_to(platformdirs.user_data_path("aligngemini"))


def test_a_model_is_found_where_it_ships_then_installed_then_by_path(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expert_folder(tmp_path / "mine")
    assert open_folder("mine").path.samefile(tmp_path / "mine")
    expert_folder(home / "mine")
    assert open_folder("mine").path == home / "mine"
    assert open_folder("./mine").path.samefile(tmp_path / "mine")
    expert_folder(home / "compact")
    assert find_folder("compact") == shipped_models()["compact"]


def test_what_is_not_finished_is_not_installed(home):
    assert installed_models() == {}
    expert_folder(home / "b")
    expert_folder(home / "a")
    expert_folder(home / ".c.partial")
    expert_folder(home / "d")
    (home / "d" / "hashes.json").unlink()
    (home / "notes.txt").write_text("")
    assert list(installed_models()) == ["a", "b"]


def test_an_unknown_name_lists_those_there_are(home):
    expert_folder(home / "mine")
    with pytest.raises(ModelError, match="one of: compact, gamma-compact, mine, or a model folder"):
        open_folder("nonesuch")
    with pytest.raises(ModelError, match="aligngemini models pull dda"):
        open_folder("dda")


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "-a", "x" * 101])
def test_names_that_no_folder_should_have_are_refused(home, name):
    with pytest.raises(ModelError, match="no name for a model"):
        installed_path(name)


def test_removing_takes_installed_models_alone(home, tmp_path):
    expert_folder(home / "a")
    expert_folder(home / "b")
    outside = expert_folder(tmp_path / "outside")
    for name in (str(outside), "../../outside", "nonesuch", "."):
        with pytest.raises(ModelError, match="is installed; installed: a, b"):
            remove_model(name)
    with pytest.raises(ModelError, match="ships with aligngemini"):
        remove_model("compact")
    assert remove_model("a") == home / "a"
    assert [path.name for path in home.iterdir()] == ["b"]
    assert outside.is_dir()


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    out = tmp_path / "new" / "folder"
    with pytest.raises(KeyboardInterrupt):
        _write(out, KeyboardInterrupt())
    assert list(out.parent.iterdir()) == []
    _write(out)
    assert [path.name for path in sorted(out.parent.rglob("*"))] == ["folder", "file"]
    with pytest.raises(ModelError, match="there already"):
        _write(out)
    assert (out / "file").exists()


def _write(out, failure=None):
    with new_folder(out) as partial:
        (partial / "file").write_text("")
        assert not out.exists()
        if failure:
            raise failure


def test_a_disk_that_takes_no_more_is_said(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with (
        pytest.raises(ModelError, match=r"cannot write .*: No space left"),
        new_folder(tmp_path / "out"),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x")
    assert list(tmp_path.iterdir()) == []
