"""A small study that several modules look at."""

from pathlib import Path

import pytest
from fixtures.backbones import expert_folder, tiny_expert
from fixtures.drawn import png, texture
from fixtures.training import SIDE, STUDIED, write_set

from aligngemini.datasets.manifest import Row
from aligngemini.evaluation.predictions import Prediction
from aligngemini.training import study
from aligngemini.training.export_expert import export_expert

Study = tuple[list[Row], Path, list[Prediction]]


@pytest.fixture(scope="session")
def study_done(tmp_path_factory) -> Study:
    """Rows, folder and predictions of a study of a handful of images, one of them broken."""
    folder = tmp_path_factory.mktemp("study")
    rows = write_set(folder / "images", 6, pairs=2)
    broken = folder / "images" / "broken.png"
    broken.write_bytes(png(texture(SIDE, SIDE))[:200])
    rows.append(Row(str(broken), "real", source="street"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "SMALL", 2)
        return rows, folder / "work", study.run_study(STUDIED, rows, folder / "work")


@pytest.fixture
def studied(study_done, monkeypatch) -> Study:
    """The same, for tests that go on with it."""
    monkeypatch.setattr(study, "SMALL", 2)
    return study_done


@pytest.fixture(scope="session")
def exported_experts(tmp_path_factory):
    """Gives a family's model folder with its export; each is made once, for it takes seconds."""
    folders: dict[str, Path] = {}

    def exported(family: str) -> Path:
        if family not in folders:
            folder = expert_folder(tmp_path_factory.mktemp(family) / "tiny", tiny_expert(family))
            export_expert(folder)
            folders[family] = folder
        return folders[family]

    return exported
