"""What the commands of `aligngemini models` do; wrong use is a `ModelError`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

SEMANTIC = "semantic"
"""Pulls the paper's vision-language model. There is no public adapter for it."""
SEMANTIC_DEFAULT = "qwen2.5-vl-7b"


def list_models(given: argparse.Namespace) -> None:
    """Print the models there are."""
    from aligngemini.runtimes import listing

    models = listing.list_models()
    if given.json:
        print(json.dumps([asdict(model) for model in models], indent=2))
        return
    rows = [
        (model.name, model.state, model.fingerprint or "", _megabytes(model.bytes), model.about)
        for model in models
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())


def show(given: argparse.Namespace) -> None:
    """Print what a folder says of its model."""
    from aligngemini.runtimes.listing import model_facts

    facts = model_facts(given.model)
    if given.json:
        print(json.dumps(facts, indent=2))
        return
    for name, value in _lines(facts):
        print(f"{name:12}{value}")


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts for people, without those that only programs need."""
    calibration, source = facts["calibration"], facts["source"] or {}
    low, high = calibration["threshold_real"], calibration["threshold"]
    preprocess = {k: v for k, v in facts["preprocess"].items() if k not in ("kind", "decoder")}
    settings = ", ".join(f"{name} {value}" for name, value in preprocess.items())
    lines = {
        "model": f"{facts['name']}@{facts['fingerprint']}",
        "title": facts["title"],
        "folder": facts["path"],
        "size": _megabytes(facts["bytes"]),
        "runs on": ", ".join(facts["engines"]),
        "looks at": f"{facts['preprocess']['kind']}: {settings}",
        "thresholds": f"fake from {high:.4g} up, real below {low:.4g}",
        "set on": calibration["fitted_on"],
        "source": ", ".join(f"{k} {v}" for k, v in source.items() if v is not None),
        "card": facts["card"],
    }
    return [(name, value) for name, value in lines.items() if value]


def pull(given: argparse.Namespace) -> None:
    """Download and install a model; a vision-language model goes into the Hub's own cache."""
    from aligngemini.models.qwen_facts import MODELS

    if given.model == SEMANTIC or given.model in MODELS:
        from aligngemini.runtimes.pulling import fetch_base

        model = SEMANTIC_DEFAULT if given.model == SEMANTIC else given.model
        folder = fetch_base(model, given.revision)
        print(f"{folder}; use it with --semantic {model}")
        return
    from aligngemini.cli.progress import progress
    from aligngemini.runtimes.pulling import downloading

    with (
        downloading(given.model, name=given.name, revision=given.revision) as download,
        progress(None, text="Converting") as step,  # the download shows a bar of its own before
    ):
        folder = download.install(step=step)
    if given.onnx:
        _add_onnx(folder)
    _say_installed(folder, folder.name)


def import_checkpoint(given: argparse.Namespace) -> None:
    """Convert a checkpoint to a model folder."""
    from aligngemini.cli.progress import progress
    from aligngemini.runtimes.hub import need
    from aligngemini.runtimes.installing import installed_path

    out = given.out or installed_path(given.name)
    need("torch", "transformers")
    from aligngemini.runtimes.importing import STEPS, import_dda

    with progress(STEPS, text="Importing") as step:
        import_dda(given.file, out, threshold=given.threshold, alpha=given.lora_alpha, step=step)
    if given.onnx:
        _add_onnx(out)
    _say_installed(out, given.name or str(out))


def _add_onnx(folder: Path) -> None:
    """Export the weights too: ONNX Runtime is faster on a CPU. Do without where that fails."""
    from aligngemini.cli.progress import progress
    from aligngemini.runtimes.folder import open_folder

    if open_folder(folder).onnx is not None:
        return
    try:
        from aligngemini.training.export_expert import export_expert, steps
        from aligngemini.training.onnx_graph import ExportError
    except ImportError as error:
        print(
            f"not exported to ONNX, PyTorch will run it: {error.name} is not installed "
            "(aligngemini[train] has it)",
            file=sys.stderr,
        )
        return
    try:
        with progress(steps(()), text="Exporting to ONNX") as step:
            export_expert(folder, step=step)
    except (ExportError, OSError) as error:
        print(f"not exported to ONNX, PyTorch will run it: {error}", file=sys.stderr)


def remove(given: argparse.Namespace) -> None:
    """Delete an installed model, after asking."""
    from aligngemini.runtimes.folder import ModelError
    from aligngemini.runtimes.installing import remove_model
    from aligngemini.runtimes.store import installed_models

    path = installed_models().get(given.name)
    if path is not None and not given.yes:
        if not sys.stdin.isatty():
            raise ModelError(f"nobody is there to ask; to remove {path} add --yes")
        print(f"remove {path}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise ModelError("nothing was removed")
    print(f"removed {remove_model(given.name)}")


def push(given: argparse.Namespace) -> None:
    """Upload a model folder."""
    from aligngemini.runtimes.pushing import push_model

    print(push_model(given.folder, given.repo, private=given.private))


def _say_installed(folder: Path, spec: str) -> None:
    from aligngemini.runtimes.folder import open_folder

    print(f"{folder}: {open_folder(folder).fingerprint}; use it with --pixel {spec}")


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f} MB"
