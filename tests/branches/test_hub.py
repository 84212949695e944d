"""Image classifiers of `transformers` as a branch give what `transformers`' own pipeline gives."""

import json

import numpy as np
import pytest
from fixtures.classifiers import FAMILIES, classifier_folder
from fixtures.drawn import flat, texture
from PIL import Image as PILImage
from transformers import AutoImageProcessor, pipeline

from aligngemini.branches.fake_label import LabelError, fake_indices
from aligngemini.branches.loading import ClassifierSpec, load_pixel, parse_classifier
from aligngemini.images.item import Image
from aligngemini.runtimes.folder import ModelError

SIZES = [(64, 90), (120, 50), (32, 32), (33, 31)]


@pytest.fixture(scope="module")
def pictures():
    # More than one forward pass takes.
    return [texture(*SIZES[k % len(SIZES)], seed=k) for k in range(18)]


def judge(spec, pictures):
    branch = load_pixel(spec, device="cpu", threads=1)
    return branch.judge([Image(pixels) for pixels in pictures])


def by_pipeline(folder, pictures, label):
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    classify = pipeline("image-classification", model=str(folder), image_processor=processor)
    answers = [classify(PILImage.fromarray(pixels), top_k=None) for pixels in pictures]
    return [next(a["score"] for a in answer if a["label"] == label) for answer in answers]


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_the_pipelines(tmp_path, pictures, family):
    folder = classifier_folder(tmp_path / "m", ["artificial", "human"], family=family)
    evidence = judge(f"hf:{folder}", pictures)
    expected = by_pipeline(folder, pictures, "artificial")
    assert np.ptp(expected) > 1e-3
    assert [e.score for e in evidence] == pytest.approx(expected, abs=1e-5)
    assert [e.verdict for e in evidence] == ["fake" if s >= 0.5 else "real" for s in expected]
    assert evidence[0].threshold == evidence[0].threshold_real == 0.5


@pytest.mark.parametrize(
    ("labels", "settings"),
    [(["LABEL_0"], {}), (["real", "sd", "dalle"], {"problem_type": "multi_label_classification"})],
)
def test_labels_that_stand_alone_go_through_the_sigmoid(tmp_path, pictures, labels, settings):
    folder = classifier_folder(tmp_path / "m", labels, **settings)
    evidence = judge(f"hf:{folder}#{labels[-1]}", pictures)
    expected = by_pipeline(folder, pictures, labels[-1])
    assert [e.score for e in evidence] == pytest.approx(expected, abs=1e-5)


def test_several_fake_labels_are_added_up_when_named(tmp_path, pictures):
    folder = classifier_folder(tmp_path / "m", ["dalle", "real", "sd"])
    with pytest.raises(ModelError, match=r"there are: dalle, real, sd; name it, as in .*#LABEL"):
        load_pixel(f"hf:{folder}")
    evidence = judge(f"hf:{folder}#sd,DALLE", pictures)
    real = np.array(by_pipeline(folder, pictures, "real"))
    assert [e.score for e in evidence] == pytest.approx(1 - real, abs=1e-5)


def test_the_record_names_the_weights_and_the_reading(tmp_path, pictures):
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    models = {judge(f"hf:{folder}{label}", pictures[:1])[0].model for label in ("", "#fake")}
    assert len(models) == 1
    (model,) = models
    assert model.startswith(f"{folder}@")
    assert judge(f"hf:{folder}#real", pictures[:1])[0].model != model
    settings = folder / "preprocessor_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "resample": 0}))
    assert judge(f"hf:{folder}", pictures[:1])[0].model != model


def test_a_drawing_is_undecided(tmp_path):
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    (evidence,) = judge(f"hf:{folder}", [flat(60, 60, 200)])
    assert (evidence.verdict, evidence.score is None) == ("undecided", False)
    assert "flat colour" in evidence.remark


def test_no_images_no_evidence(tmp_path):
    assert judge(f"hf:{classifier_folder(tmp_path / 'm', ['fake', 'real'])}", []) == []


@pytest.mark.parametrize(
    ("labels", "fake"),
    [
        (["artificial", "human"], 0),
        (["Real", "Fake"], 1),
        (["REAL", "AI_GENERATED"], 1),
        (["AiArtData", "RealArt"], 0),
        (["Realism", "Deepfake"], 1),
        (["hum", "ai"], 1),
        (["ai", "not_ai"], 0),
        (["not-real", "real"], 0),
        (["sd", "natural photo"], 0),
        (["real", "ai", "human"], 1),
        (["deepfake"], 0),
    ],
)
def test_the_fake_label_is_told_by_whole_words(labels, fake):
    assert fake_indices(labels) == (fake,)


@pytest.mark.parametrize(
    "labels",
    [
        ["LABEL_0", "LABEL_1"],
        ["fake", "generated"],
        ["real", "human"],
        ["real fake", "other"],
        ["fakery", "unreal"],
        ["maintained", "paired"],  # "ai" only inside of words
        ["ai", "fake", "real"],
        ["fake", "real", "drawing"],
        ["real"],
        ["not_ai", "not_real"],
    ],
)
def test_what_cannot_be_told_is_an_error_that_lists_the_labels(labels):
    with pytest.raises(LabelError, match=f"cannot tell .*: {', '.join(labels)}$"):
        fake_indices(labels)


def test_a_named_label_has_to_be_there():
    assert fake_indices(["LABEL_0", "LABEL_1"], ["label_1"]) == (1,)
    with pytest.raises(LabelError, match="no label 'sd'; there are: fake, real"):
        fake_indices(["fake", "real"], ["sd"])
    with pytest.raises(LabelError, match="one label at least has to mean real"):
        fake_indices(["fake", "real"], ["real", "fake"])


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("hf:owner/name", ClassifierSpec("owner/name")),
        ("hf:owner/name@v1", ClassifierSpec("owner/name", "v1")),
        ("hf:owner/name#ai art, sd", ClassifierSpec("owner/name", None, ("ai art", "sd"))),
        ("hf:owner/name@abc#fake", ClassifierSpec("owner/name", "abc", ("fake",))),
    ],
)
def test_the_spec_is_taken_apart(spec, parsed):
    assert parse_classifier(spec) == parsed


def test_a_folder_may_have_signs_in_its_name(tmp_path):
    odd = tmp_path / "a@b#c"
    odd.mkdir()
    assert parse_classifier(f"hf:{odd}") == ClassifierSpec(str(odd))
    assert parse_classifier(f"hf:{odd}#fake") == ClassifierSpec(str(odd), None, ("fake",))
    with pytest.raises(ModelError, match="needs a name"):
        parse_classifier("hf:")


def test_folders_that_are_no_classifier_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no weights"):
        load_pixel(f"hf:{tmp_path / 'empty'}")
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="no image classifier that can be used"):
        load_pixel(f"hf:{folder}")


def test_a_backbone_without_a_trained_head_is_refused(tmp_path):
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="lacks weights such as"):
        load_pixel(f"hf:{folder}")


def test_code_in_the_folder_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = classifier_folder(tmp_path / "m", ["fake", "real"])
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "mine",
        "auto_map": {
            "AutoConfig": "code.Config",
            "AutoModelForImageClassification": "code.Model",
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no image classifier"):
        load_pixel(f"hf:{folder}")
    assert not (tmp_path / "ran").exists()


def test_a_published_expert_that_is_not_installed_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGNGEMINI_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="aligngemini models pull dda"):
        load_pixel("dda")
