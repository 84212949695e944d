"""The cascade gives the verdict of the full run on every input, and leaves out what it can."""

import itertools

import pytest
from fixtures.drawn import striped
from fixtures.evidence import answers, combination, fusion_file, scored
from hypothesis import given, settings
from hypothesis import strategies as st

from aligngemini import Detector
from aligngemini.evidence import NOT_NEEDED, Evidence
from aligngemini.fusion import FUSIONS, join
from aligngemini.fusion.cascade import not_needed, settled
from aligngemini.fusion.fitted import FittedRule
from aligngemini.fusion.rules import Weighted
from aligngemini.images.item import Image

NAMES = ("provenance", "pixel", "pixel-2", "semantic")
LOOKING = NAMES[1:]
IMAGES = [Image(striped(40, 40, grey)) for grey in range(50, 54)]
PLACE = {id(image): place for place, image in enumerate(IMAGES)}

weights = st.fixed_dictionaries(
    dict.fromkeys(("pixel", "semantic"), st.sampled_from([0, 0.1, 1, 9]))
)


@st.composite
def fitted_rules(draw):
    """Fitted rules with a sum for most sets of branches."""
    sums = []
    for size in (1, 2, 3):
        for names in itertools.combinations(LOOKING, size):
            low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
            strengths = {name: draw(st.sampled_from([0.0, 0.2, 1.0, 5.0])) for name in names}
            one = combination(strengths, draw(st.floats(-9, 9)), high, low)
            sums += [one] * draw(st.booleans())
    return FittedRule(fusion_file(*sums))


rules = st.sampled_from(list(FUSIONS.values())) | weights.map(Weighted) | fitted_rules()


class FromTable:
    """Looks up what it says, and notes whom it was asked about."""

    def __init__(self, name, table):
        self.name, self.table = name, table
        self.fingerprint = {"pixel": "1", "pixel-2": "2", "semantic": "3"}.get(name, "")
        self.asked = []

    def judge(self, images, *, heatmaps=False):
        self.asked.append([PLACE[id(image)] for image in images])
        return [self.table[k][self.name] for k in self.asked[-1]]


tables = st.lists(
    st.fixed_dictionaries({name: answers(name) for name in NAMES}),
    min_size=len(IMAGES),
    max_size=len(IMAGES),
)


@settings(max_examples=150, deadline=None)
@given(rules, tables, st.permutations(NAMES), st.integers(1, len(NAMES)))
def test_the_verdict_is_that_of_the_full_run(rule, table, order, count):
    names = order[:count]
    full = Detector([FromTable(name, table) for name in names], fusion=rule)
    branches = [FromTable(name, table) for name in names]
    saving = Detector(branches, fusion=rule, cascade=True)
    for whole, quick in zip(full.judge_batch(IMAGES), saving.judge_batch(IMAGES), strict=True):
        assert quick.verdict == whole.verdict
        assert list(quick.branches) == list(whole.branches)
        for name, evidence in quick.branches.items():
            left_out = (evidence.skipped or "").startswith(f"{NOT_NEEDED}: ")
            assert left_out or evidence == whole.branches[name]
    for branch in branches:
        assert len(branch.asked) == 1  # batches stay whole


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["or", "vote"]), tables)
def test_or_and_vote_leave_out_all_that_they_can(name, table):
    """What was run is what some answer of the branches still to come would have turned round."""
    rule = FUSIONS[name]
    labels = [Evidence(verdict=label) for label in ("fake", "real", "undecided", None)]
    for row in table:
        for known in range(len(NAMES)):
            seen = {name: row[name] for name in NAMES[:known]}
            pending = NAMES[known:]
            endings = itertools.product(labels, repeat=len(pending))
            verdicts = {
                join(rule, {**seen, **dict(zip(pending, ending, strict=True))})[0]
                for ending in endings
            }
            assert (settled(rule, seen, pending) is not None) == (len(verdicts) == 1)


FAKE, REAL = scored(0.9), scored(0.1)


def run(fusion, **evidence):
    """Which branches a cascade left out, and why; underscores stand for dashes."""
    row = {name.replace("_", "-"): one for name, one in evidence.items()}
    branches = [FromTable(name, [row] * len(IMAGES)) for name in row]
    verdict = Detector(branches, fusion=fusion, cascade=True).judge(IMAGES[0])
    return verdict, {name: one.skipped for name, one in verdict.branches.items() if one.skipped}


def test_or_stops_at_the_first_fake():
    verdict, left_out = run("or", semantic=REAL, pixel=FAKE, provenance=Evidence(signals=()))
    assert left_out == {"semantic": "not needed: pixel says fake"}
    assert (verdict.verdict, verdict.score, verdict.disagreement) == ("fake", 0.9, False)
    assert verdict.to_dict()["branches"]["semantic"] == {"skipped": left_out["semantic"]}
    for first in (REAL, Evidence(), scored(0.5, 0.7, 0.3)):
        assert run("or", semantic=FAKE, pixel=first)[1] == {}


@pytest.mark.parametrize("fusion", [*FUSIONS, FittedRule(fusion_file())])
def test_a_signature_settles_every_rule(fusion):
    signed = Evidence(verdict="fake", signals=())
    verdict, left_out = run(fusion, pixel=REAL, semantic=REAL, provenance=signed)
    assert verdict.verdict == "fake"
    assert set(left_out) == {"pixel", "semantic"}
    assert set(left_out.values()) == {"not needed: provenance says fake"}


def test_vote_stops_at_a_majority():
    _, left_out = run("vote", pixel=REAL, pixel_2=REAL, semantic=FAKE)
    assert left_out == {"semantic": "not needed: pixel, pixel-2 say real"}
    assert run("vote", pixel=FAKE, semantic=FAKE)[1] == {}


def test_a_branch_without_weight_is_not_run():
    _, left_out = run(Weighted({"semantic": 0}), pixel=REAL, semantic=FAKE)
    assert left_out == {"semantic": "not needed: pixel says real"}
    assert run("weighted", pixel=REAL, semantic=FAKE)[1] == {}


def test_a_fitted_rule_stops_where_no_score_could_turn_it():
    sums = combination({"pixel": 3.0, "semantic": 0.2}), combination({"pixel": 1.0})
    rule = FittedRule(fusion_file(*sums))
    # 3 ln(9) beats 0.2 times the largest log-odds there are, 10; 3 ln(1.5) does not.
    assert run(rule, pixel=scored(0.9), semantic=REAL)[1]
    assert not run(rule, pixel=scored(0.6), semantic=REAL)[1]
    unfitted = FittedRule(fusion_file(sums[0]))  # should semantic fail, nobody could say
    assert not run(unfitted, pixel=scored(0.9), semantic=REAL)[1]


def test_the_rule_speaks_where_no_branch_says_what_it_says():
    rule = FittedRule(
        fusion_file(
            combination({"pixel": 1.0, "semantic": 0.0}, 9.0), combination({"pixel": 1.0}, 9.0)
        )
    )
    assert not_needed(rule, {"pixel": REAL}, ["semantic"]) == "not needed: learned says fake"


def test_every_branch_runs_unless_asked_otherwise():
    row = {"pixel": FAKE, "semantic": REAL}
    branches = [FromTable(name, [row] * len(IMAGES)) for name in row]
    verdict = Detector(branches).judge(IMAGES[0])
    assert verdict.branches["semantic"] == REAL
    assert verdict.disagreement


def test_each_branch_sees_only_the_images_that_need_it():
    rows = [{"pixel": FAKE if k % 2 else REAL, "semantic": REAL} for k in range(len(IMAGES))]
    branches = [FromTable("semantic", rows), FromTable("pixel", rows)]
    Detector(branches, cascade=True).judge_batch(IMAGES)
    semantic, pixel = branches
    assert (pixel.asked, semantic.asked) == ([[0, 1, 2, 3]], [[0, 2]])
