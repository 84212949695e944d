"""The checks at the end of a run, made on what each kind of run has."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from aligngemini.branches.gamma import GammaBranch
from aligngemini.branches.pixel import PixelBranch
from aligngemini.branches.semantic.local import LocalBackend
from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.datasets.manipulation_set import MOVED_KINDS, UNTOUCHED, Sample
from aligngemini.datasets.pairs import Pair
from aligngemini.evaluation.predictions import Prediction
from aligngemini.evaluation.regions import Measured
from aligngemini.evidence import calibrated
from aligngemini.images.degrade import DELIVERIES, Pixels
from aligngemini.runtimes.folder import Calibration
from aligngemini.runtimes.semantic_folder import open_semantic_folder
from aligngemini.training.diagnostics import HELD_OUT, TRAINED_ON, UNSEEN, Scored
from aligngemini.training.evening import Evening
from aligngemini.training.findings import Diagnosis, diagnose
from aligngemini.training.probing import (
    CONTROL_DELIVERIES,
    Probe,
    Progress,
    no_progress,
    probe,
    probes_of_files,
    spread_out,
)
from aligngemini.training.signatures import PIXEL, SEMANTIC

if TYPE_CHECKING:
    from datasets import Dataset

    from aligngemini.training.semantic_data import Preferences

Found: TypeAlias = tuple[list[Scored], list[str]]

SEMANTIC_MOST = 32  # each goes through a large model six times
GRADE = "implausibility"
"""Column of preference pairs: of a fake, `gross` or `subtle`."""


def diagnose_compact(
    rows: Sequence[Row],
    predictions: Sequence[Prediction],
    calibration: Calibration,
    model: Path,
    *,
    progress: Progress = no_progress,
) -> Diagnosis:
    """Of a compact expert, by the study's predictions: all of unseen generators and sources.

    Args:
        rows: The manifest, trained on.
        predictions: Of the study.
        calibration: Of the model.
        model: Its folder.
        progress: Shows how far the work is.
    """

    def score() -> Found:
        held_out = [
            Scored(
                group=UNSEEN if one.label == "fake" else HELD_OUT,
                label=one.label,
                delivery=one.delivery,
                score=float(calibrated(one.logit, calibration.scale, calibration.bias)),
                model=f"fold {one.fold}",
            )
            for one in predictions
        ]
        probes = [
            one
            for label in ("real", "fake")
            for one in probes_of_files(
                TRAINED_ON, label, (r.path for r in rows if r.label == label and not r.pair)
            )
        ]
        branch = PixelBranch.load(model)
        scored, unreadable = probe(branch.logits, probes, {}, calibration, progress)
        return [*held_out, *scored], unreadable

    return diagnose(PIXEL, score, calibration.threshold)


def diagnose_expert(
    manifest: Path,
    pairs: Sequence[Pair],
    held_out: Sequence[Pair],
    calibration: Calibration,
    model: Path,
    *,
    progress: Progress = no_progress,
) -> Diagnosis:
    """Of an expert on pairs: its held-out pairs, and the fakes that belong to no photo.

    Args:
        manifest: Of the run.
        pairs: Trained on.
        held_out: Not trained on.
        calibration: Of the model.
        model: Its folder.
        progress: Shows how far the work is.
    """

    def score() -> Found:
        known = {pair.generator for pair in pairs}
        rows = read_manifest(manifest)
        unpaired = [row for row in rows if row.label == "fake" and not row.pair]
        unseen = [pair.fake for pair in held_out if pair.generator not in known]
        unseen += [row.path for row in unpaired if row.generator and row.generator not in known]
        seen = [pair.fake for pair in held_out if pair.generator in known]
        even_out = Evening(held_out).of
        probes = [
            *probes_of_files(TRAINED_ON, "real", (pair.real for pair in pairs)),
            *probes_of_files(TRAINED_ON, "fake", (pair.fake for pair in pairs)),
            *probes_of_files(HELD_OUT, "real", (pair.real for pair in held_out), even_out),
            *probes_of_files(HELD_OUT, "fake", seen, even_out),
            *probes_of_files(UNSEEN, "fake", unseen, even_out),
        ]
        branch = PixelBranch.load(model)
        return probe(branch.logits, probes, DELIVERIES, calibration, progress)

    return diagnose(PIXEL, score, calibration.threshold)


def diagnose_gamma(
    samples: Sequence[Sample],
    measured: Sequence[Measured],
    calibration: Calibration,
    model: Path,
    *,
    moved_is_fake: bool,
    progress: Progress = no_progress,
) -> Diagnosis:
    """Of a GAMMA model, by its held-out images.

    Args:
        samples: Trained on.
        measured: Held-out images.
        calibration: Of the model.
        model: Its folder.
        moved_is_fake: Whether moved pixels alone make an image `fake`; where they do not, such
            images are left out.
        progress: Shows how far the work is.
    """

    def counts(sample: Sample) -> bool:
        return moved_is_fake or sample.manipulation not in MOVED_KINDS

    def score() -> Found:
        known = {sample.generator for sample in samples}
        held_out = [
            Scored(
                group=HELD_OUT if one.sample.generator in {*known, ""} else UNSEEN,
                label=_label(one.sample),
                delivery=one.delivery,
                score=float(calibrated(one.logit, calibration.scale, calibration.bias)),
            )
            for one in measured
            if counts(one.sample)
        ]
        probes = [
            one
            for label in ("real", "fake")
            for one in probes_of_files(
                TRAINED_ON, label, (s.path for s in samples if counts(s) and _label(s) == label)
            )
        ]
        branch = GammaBranch.load(model)

        def logits(images: Sequence[Pixels]) -> list[float]:
            return [branch.look(pixels).logit for pixels in images]

        scored, unreadable = probe(logits, probes, {}, calibration, progress)
        return [*held_out, *scored], unreadable

    return diagnose(PIXEL, score, calibration.threshold)


def diagnose_semantic(
    preferences: "Preferences",
    calibration: Calibration,
    model: Path,
    *,
    progress: Progress = no_progress,
) -> Diagnosis:
    """Of a semantic model, by its held-out pairs.

    Args:
        preferences: What it was trained on and measured on.
        calibration: Of the model.
        model: Its folder.
        progress: Shows how far the work is.
    """

    def score() -> Found:
        vlm = LocalBackend(open_semantic_folder(model)).vlm
        probes = [
            *_probes_of_pairs(TRAINED_ON, preferences.train),
            *_probes_of_pairs(HELD_OUT, preferences.held_out),
        ]

        def logits(images: Sequence[Pixels]) -> list[float]:
            return [float(fake - real) for fake, real in vlm.score(images)]

        return probe(logits, probes, CONTROL_DELIVERIES, calibration, progress)

    return diagnose(SEMANTIC, score, calibration.threshold)


def _label(sample: Sample) -> str:
    return "real" if sample.manipulation == UNTOUCHED else "fake"


def _probes_of_pairs(group: str, pairs: "Dataset") -> list[Probe]:
    columns = [name for name in ("label", GRADE) if name in pairs.column_names]
    facts = [dict(row) for row in pairs.select_columns(columns)]

    def opened(number: int) -> Pixels:
        return np.asarray(pairs[number]["images"][0])

    return [
        Probe(
            group,
            label,
            partial(opened, number),
            f"pair {number + 1}",
            str(facts[number].get(GRADE) or ""),
        )
        for label in ("real", "fake")
        for number in spread_out(
            [k for k, row in enumerate(facts) if row["label"] == label], SEMANTIC_MOST
        )
    ]
