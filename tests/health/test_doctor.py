import json
import sys

import pytest

from aligngemini.cli import main
from aligngemini.health import doctor
from aligngemini.health.doctor import examine


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    """Importing PyTorch takes seconds: only the first test asks it for its devices."""
    if "sound" not in request.node.name:
        monkeypatch.setattr(doctor, "TORCH_PROBE", "print(False)")


def found(section, name):
    (one,) = [one for one in examine() if (one.section, one.name) == (section, name)]
    return one


def test_a_sound_installation_exits_0_and_says_what_there_is(capsys):
    assert main(["doctor", "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)
    names = {(one["section"], one["name"]) for one in findings}
    assert {
        *(("versions", "numpy"), ("formats", "JPEG"), ("models", "compact")),
        *(("devices", "ONNX Runtime"), ("extras", "vlm"), ("folders", "models")),
    } <= names
    assert not [one for one in findings if one["state"] == "broken"]


def test_the_list_for_people_has_every_finding(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for one in examine():
        assert one.name in printed


def test_a_package_that_is_needed_and_not_there_is_broken(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_installed", lambda name: None if name == "numpy" else "999")
    assert main(["doctor"]) == 1
    printed = capsys.readouterr()
    assert "pip install 'numpy" in printed.out
    assert "numpy" in printed.err


def test_a_package_that_is_too_old_is_broken_and_one_of_an_extra_only_absent(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda name: "0.0.1")
    assert found("versions", "numpy").state == "broken"
    assert found("extras", "vlm").state == "missing"
    assert "aligngemini[vlm]" in found("extras", "vlm").detail


def test_a_probe_that_raises_is_a_finding_and_the_others_go_on(monkeypatch):
    def faint():
        raise OSError("disk on fire")
        yield

    monkeypatch.setattr(doctor, "_models", faint)
    findings = list(examine())
    assert [one.detail for one in findings if one.state == "broken"] == ["OSError: disk on fire"]
    assert findings[-1].section in ("folders", "environment")


def test_a_damaged_installed_model_is_named_but_stops_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("ALIGNGEMINI_HOME", str(tmp_path))
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "hashes.json").write_text("{}")
    assert found("models", "mine").state == "missing"


def test_secrets_are_not_shown(monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    main(["doctor"])
    printed = capsys.readouterr().out
    assert "hf_very_secret" not in printed
    assert found("environment", "HF_HUB_OFFLINE").detail == "1"


@pytest.mark.parametrize("command", [["no-such-program-here"], [sys.executable, "-c", "1/0"]])
def test_a_probe_in_a_process_of_its_own_may_die(command):
    code, text = doctor._run(command)
    assert code != 0
    assert text
