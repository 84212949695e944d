"""The work of `aligngemini build semantic-set`, and what is said of it."""

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from aligngemini.branches.semantic.loading import load_semantic
from aligngemini.branches.semantic.server import ServerBackend
from aligngemini.cli.checks import SOME_NOT_JUDGED
from aligngemini.cli.progress import progress
from aligngemini.cores import usable_cores
from aligngemini.datasets.candidates import find_candidates
from aligngemini.datasets.leakage import TooFewPairsError, probe_set, save_leakage
from aligngemini.datasets.manifest import Row, read_manifest
from aligngemini.datasets.preferences import save_preferences, write_rationales
from aligngemini.datasets.semantic_set import SemanticSetConfig, build_semantic_set
from aligngemini.images.degrade import SemanticChain
from aligngemini.prompts import Prompt

SERVER_REQUESTS = 8


class NothingFoundError(Exception):
    """Inputs that cannot be built from; the message says why."""


def run(given: Any) -> int:
    """Build what the parsed arguments ask for; gives the exit code.

    Raises:
        NothingFoundError: A class has no image, or the set would lie among its inputs.
    """
    config = _config(given)
    manifests = [str(given.manifest)] if given.manifest else []
    inputs = {"fake": [*given.fake, *manifests], "real": [*given.real, *manifests]}
    for name in (*given.fake, *given.real):
        if Path(name).is_dir() and given.out.resolve().is_relative_to(Path(name).resolve()):
            raise NothingFoundError(
                f"{given.out} lies among the images of {name}; give a folder elsewhere"
            )
    candidates = []
    for label, names in inputs.items():
        with progress(None, text=f"Looking for {label} images") as step:
            found = find_candidates(names, label, step=step)
        if not found:
            raise NothingFoundError(f"found no {label} image")
        candidates += found
    writer = _writer(given)  # before hours of work, for it may not be there
    threads = given.workers or usable_cores()
    summary = build_semantic_set(candidates, given.out, config, threads=threads, progress=progress)
    rows = read_manifest(given.out / "manifest.parquet")
    leaks = _probe(given, rows, threads)
    left_out = _save_preferences(given.out, rows, writer)
    print(f"{given.out}: {summary.pairs} pairs of a real and a fake image")
    short = given.count is not None and summary.pairs < given.count
    if short:
        print(f"--count {given.count}: there are not as many usable images", file=sys.stderr)
    if summary.duplicates:
        print(f"{summary.duplicates} duplicates left out", file=sys.stderr)
    if summary.failed:
        table = given.out / "failed.csv"
        print(f"{summary.failed} images could not be used: {table} says why", file=sys.stderr)
    return SOME_NOT_JUDGED if leaks or left_out or short or summary.failed else 0


def _config(given: Any) -> SemanticSetConfig:
    chain = SemanticChain(
        scale=tuple(given.scale),
        noise=tuple(given.noise),
        blur=tuple(given.blur),
        quality=tuple(given.quality),
    )
    return SemanticSetConfig(
        count=given.count,
        max_side=given.max_side,
        min_side=given.min_side,
        val_share=given.split_val,
        seed=given.seed,
        chain=chain,
    )


def _probe(given: Any, rows: Sequence[Row], threads: int) -> bool:
    """Measure leakage and say what it is; whether there is too much."""
    report = given.out / "leakage.json"
    try:
        leakage = probe_set(
            rows, limit=given.probe_limit, seed=given.seed, threads=threads, progress=progress
        )
    except TooFewPairsError as error:
        save_leakage(str(error), report)
        print(f"leakage was not measured: {error}", file=sys.stderr)
        return False
    save_leakage(leakage, report)
    found, motif = leakage.balanced_accuracy, leakage.motif
    print(
        f"pixels alone: balanced accuracy {found.value:.2f} ({found.low:.2f} to {found.high:.2f}; "
        f"chance is 0.50), limit {leakage.limit:.2f}"
    )
    if leakage.leaks:
        print(
            "aligngemini build: THIS SET LEAKS: its classes can be told apart without looking at "
            f"what they show. Thumbnails without any trace give {motif.value:.2f}: as far as that "
            "goes, the two collections differ in their subjects; choose more alike ones. Beyond "
            "it, degrade more (--scale, --noise, --blur, --quality). The set stays, and "
            f"{report} says so.",
            file=sys.stderr,
        )
    return leakage.leaks


def _writer(given: Any) -> Any:
    """What writes rationales, or None."""
    if given.rationales == "prefix":
        return None

    spec = given.model or "qwen2.5-vl-7b"
    if given.rationales != "model":
        spec = f"{given.rationales}#{given.model}" if given.model else given.rationales
    branch: Any = load_semantic(spec, device=given.device)
    return branch.backend


def _save_preferences(out: Path, rows: Sequence[Row], writer: Any) -> int:
    """Write the preference pairs; gives how many images have none for want of reasons."""
    if writer is None:
        save_preferences(rows, out, Prompt())
        return 0

    # Another model's reasons are not mixed with these.
    model = sha256(f"{writer.name}@{writer.fingerprint}".encode()).hexdigest()[:8]
    rationales, failed = write_rationales(
        rows,
        writer,
        out / f"rationales-{model}.jsonl",
        writer.prompt,
        threads=SERVER_REQUESTS if isinstance(writer, ServerBackend) else 1,
        progress=progress,
    )
    save_preferences(rows, out, writer.prompt, rationales)
    if failed:
        path, reason = next(iter(failed.items()))
        print(
            f"{len(failed)} images have no preference pair, the first is {path}: {reason}; "
            "the same command tries them again",
            file=sys.stderr,
        )
    return len(failed)
