"""What a valid manifest means: whole, part, camera, ingredients."""

import pytest
from fixtures import signing
from fixtures.metadata import encode, facts, judge
from fixtures.signing import action, sign

TRUSTED, UNTRUSTED = "signed-trusted", "signed-untrusted"
PLAIN = encode("PNG")
AI = action("c2pa.created", "trainedAlgorithmicMedia")
CAPTURE = action("c2pa.created", "digitalCapture")
OPENED = action("c2pa.opened", parameters={"ingredientIds": ["parent"]})


def made(signer, *actions, image=PLAIN, **more):
    return sign(image, "image/png", signer, *actions, **more)


def png(data):
    return data, "image/png"


@pytest.mark.parametrize(
    ("actions", "claim", "verdict"),
    [
        ([AI], "ai", "fake"),
        ([AI, action("c2pa.edited")], "ai", "fake"),
        ([action("c2pa.created", "TrainedAlgorithmicMedia/ ")], "ai", "fake"),
        ([action("c2pa.created", "compositeWithTrainedAlgorithmicMedia")], "edited", "undecided"),
        ([CAPTURE, action("c2pa.edited", "trainedAlgorithmicMedia")], "edited", "undecided"),
        (
            [CAPTURE, action("c2pa.edited", "compositeWithTrainedAlgorithmicMedia")],
            "edited",
            "undecided",
        ),
        ([CAPTURE], "camera", None),
        ([CAPTURE, action("c2pa.cropped")], "camera", None),
        ([action("c2pa.created", "computationalCapture")], "camera", None),
        ([CAPTURE, action("c2pa.drawing")], "edited", None),
        ([action("c2pa.created", "algorithmicMedia")], None, None),
        ([action("c2pa.created", "digitalCreation")], None, None),
        ([action("c2pa.created", "notTrainedAlgorithmicMedia")], None, None),
    ],
)
def test_actions(actions, claim, verdict, trusted, believing):
    evidence = judge(made(trusted, *actions), believing)
    assert facts(evidence) == {("c2pa", TRUSTED, claim)}
    assert evidence.verdict == verdict


@pytest.mark.parametrize("label", ["c2pa.actions", "c2pa.actions.v2"])
def test_both_versions_of_the_assertion(label, trusted, believing):
    evidence = judge(made(trusted, AI, label=label), believing)
    assert evidence.verdict == "fake"


@pytest.mark.parametrize("source", ["compositeWithTrainedAlgorithmicMedia", "digitalCapture"])
def test_a_stranger_never_gets_further_than_undecided(source, stranger, believing):
    evidence = judge(made(stranger, action("c2pa.created", source)), believing)
    assert evidence.verdict == ("undecided" if "Trained" in source else None)


def test_ai_parent_that_was_only_cropped_is_still_ai(trusted, believing):
    data = made(trusted, OPENED, action("c2pa.cropped"), parent=png(made(trusted, AI)))
    evidence = judge(data, believing)
    assert evidence.verdict == "fake"
    assert [(signal.state, signal.claim) for signal in evidence.signals] == [(TRUSTED, "ai")] * 2
    assert "ingredient (parentOf)" in evidence.signals[1].detail


def test_ai_grandparent_too(trusted, believing):
    child = made(trusted, OPENED, parent=png(made(trusted, AI)))
    data = made(trusted, OPENED, action("c2pa.converted"), parent=png(child))
    assert judge(data, believing).verdict == "fake"


def test_ai_parent_that_was_edited_is_undecided(trusted, believing):
    data = made(trusted, OPENED, action("c2pa.drawing"), parent=png(made(trusted, AI)))
    evidence = judge(data, believing)
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", TRUSTED, "edited"), ("c2pa", TRUSTED, "ai")}


def test_ai_parent_signed_by_a_stranger_is_undecided(trusted, stranger, believing):
    evidence = judge(made(trusted, OPENED, parent=png(made(stranger, AI))), believing)
    assert evidence.verdict == "undecided"
    assert ("c2pa", UNTRUSTED, "ai") in facts(evidence)


def test_trust_recorded_by_the_editor_is_not_ours(trusted, stranger, believing, monkeypatch):
    # The editor's own list held the stranger; ours does not.
    settings = {**signing.BUILD_SETTINGS, "trust": {"user_anchors": stranger.root}}
    monkeypatch.setattr(signing, "BUILD_SETTINGS", settings)
    evidence = judge(made(trusted, OPENED, parent=png(made(stranger, AI))), believing)
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", TRUSTED, None), ("c2pa", UNTRUSTED, "ai")}


def test_a_stranger_cannot_lend_the_trust_of_a_parent(trusted, stranger, believing):
    # Anyone can put their own manifest over a photo and name a trusted AI image as its parent.
    evidence = judge(made(stranger, OPENED, parent=png(made(trusted, AI))), believing)
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", UNTRUSTED, None), ("c2pa", UNTRUSTED, "ai")}


def test_ai_manifest_pasted_into_a_photo_does_not_accuse_its_edits(trusted, believing):
    pasted = bytearray(made(trusted, AI))
    pasted[-30] ^= 1  # the picture is not the one that was signed
    data = made(trusted, OPENED, parent=png(bytes(pasted)))
    evidence = judge(data, believing)
    assert evidence.verdict is None
    assert facts(evidence) == {("c2pa", TRUSTED, None), ("c2pa", "invalid", "ai")}


def test_ai_part_placed_in_a_photo_is_undecided(trusted, believing):
    evidence = judge(made(trusted, CAPTURE, component=png(made(trusted, AI))), believing)
    assert evidence.verdict == "undecided"
    assert facts(evidence) == {("c2pa", TRUSTED, "camera"), ("c2pa", TRUSTED, "ai")}


def test_ai_image_that_only_steered_is_noted_and_no_more(trusted, believing):
    evidence = judge(made(trusted, CAPTURE, steered_by=png(made(trusted, AI))), believing)
    assert evidence.verdict is None
    assert ("c2pa", TRUSTED, "ai") in facts(evidence)


def test_camera_ingredient_is_noted(trusted, believing):
    evidence = judge(made(trusted, OPENED, parent=png(made(trusted, CAPTURE))), believing)
    assert evidence.verdict is None
    assert ("c2pa", TRUSTED, "camera") in facts(evidence)


def test_names_cannot_push_or_break_the_line(trusted, believing):
    name = "A\nB\x1b[31m\u202eC" + "x" * 500
    (signal,) = judge(made(trusted, AI, generator=name), believing).signals
    assert signal.detail.isprintable()
    assert len(signal.detail) <= 200
    assert signal.detail.endswith("trainedAlgorithmicMedia, signed by Trusted House")
