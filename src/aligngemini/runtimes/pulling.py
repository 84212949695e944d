"""Models from the Hugging Face Hub, checked and installed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligngemini.models.qwen_facts import MODELS
from aligngemini.runtimes.folder import (
    EXPORTED_FROM,
    HASHES,
    PORTABLE,
    ModelError,
    Source,
    open_folder,
    read_json,
    seal_folder,
    sha256_file,
    write_source,
)
from aligngemini.runtimes.hub import ask_hub, need
from aligngemini.runtimes.installing import installed_path, new_folder
from aligngemini.runtimes.published import PUBLISHED
from aligngemini.runtimes.store import models_home


@dataclass(frozen=True)
class Download:
    """Files of one revision, checked against the Hub's own checksums.

    Attributes:
        folder: Where they are, for as long as `downloading` lasts.
        files: Their names.
        target: Where the model is to be installed.
        repo: Their repository.
        revision: Its commit.
    """

    folder: Path
    files: list[str]
    target: Path
    repo: str
    revision: str

    def install(self, *, step: Callable[[], None] = lambda: None) -> Path:
        """Make a model folder of them; returns it.

        Args:
            step: Called after each step of an import; see `import_dda`.

        Raises:
            ModelError: They are not what they should be, or it cannot be written.
        """
        if HASHES in self.files:
            self._install_folder()
        else:
            from aligngemini.runtimes.importing import import_dda  # noqa: PLC0415 - PyTorch

            (file,) = self.files
            import_dda(
                self.folder / file, self.target, repo=self.repo, revision=self.revision, step=step
            )
        return self.target

    def _install_folder(self) -> None:
        with new_folder(self.target) as folder:
            for file in self.files:
                shutil.move(self.folder / file, folder / file)
            open_folder(folder)
            hashes = read_json(folder / HASHES)
            write_source(folder, Source(repo=self.repo, revision=self.revision))
            seal_folder(folder, exported_from=hashes.get(EXPORTED_FROM))


def pull_model(model: str, *, name: str | None = None, revision: str | None = None) -> Path:
    """Download a model and install it; see `downloading`. Returns the installed folder."""
    with downloading(model, name=name, revision=revision) as download:
        return download.install()


@contextmanager
def downloading(
    model: str, *, name: str | None = None, revision: str | None = None
) -> Iterator[Download]:
    """Download a model, and delete what was downloaded when the block ends.

    Args:
        model: One of `PUBLISHED`, or a repository of the Hub that holds a model folder.
        name: To install it by; None takes the published name, or the repository's own.
        revision: Branch, tag or commit; None takes the newest.

    Raises:
        ModelError: The Hub is out of reach, there is no such model, its bytes are not those the Hub
            has a checksum of, or the name is taken.
    """
    published = PUBLISHED.get(model)
    if published is None and model.count("/") != 1:
        known = ", ".join(PUBLISHED)
        raise ModelError(f"nothing to pull by the name {model}; known: {known}, or OWNER/NAME")
    target = installed_path(name or model.rpartition("/")[2])
    repo = published.repo if published else model
    by_hand = _by_hand(repo, published.file if published else None, target.name)
    need("huggingface_hub", *(("torch", "transformers") if published else ()))
    from huggingface_hub import HfApi  # noqa: PLC0415 - a plain installation lacks it

    api = HfApi()
    info = ask_hub(
        lambda: api.model_info(repo, revision=revision, files_metadata=True), repo, by_hand
    )
    there = {sibling.rfilename for sibling in info.siblings or ()}
    if published is None and HASHES not in there:
        raise ModelError(
            f"{repo} holds no model folder of aligngemini; if it is an image classifier, run it "
            f"with --pixel hf:{repo}"
        )
    files = [published.file] if published else [part for part in PORTABLE if part in there]
    folder = models_home() / ".downloads" / repo.replace("/", "--")
    try:
        for file in files:
            _download(info, repo, file, folder, by_hand)
        yield Download(folder, files, target, repo, str(info.sha))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_classifier(repo: str, revision: str | None = None) -> Path:
    """An image classifier's settings and weights, in the Hub's cache on this machine.

    Args:
        repo: `OWNER/NAME`.
        revision: Branch, tag or commit; None takes the newest.

    Raises:
        ModelError: It is not there, or the Hub is out of reach and it is not in the cache.
    """
    need("huggingface_hub")
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - a plain installation lacks it

    by_hand = f"download it elsewhere (hf download {repo} --local-dir DIR), give --pixel hf:DIR"

    def snapshot(weights: str) -> Path:
        # Below the root lie exports for other engines, and checkpoints of the training.
        folder = ask_hub(
            lambda: snapshot_download(
                repo,
                revision=revision,
                allow_patterns=["*.json", weights],
                ignore_patterns=["*/*"],
            ),
            repo,
            by_hand,
        )
        return Path(folder)

    folder = snapshot("*.safetensors")
    return folder if any(folder.glob("*.safetensors")) else snapshot("pytorch_model*.bin")


def fetch_base(model: str, revision: str | None = None) -> Path:
    """A vision-language model's weights, settings and tokenizer, in the Hub's cache.

    Args:
        model: A short name of `models.qwen_facts.MODELS`, or `OWNER/NAME`.
        revision: Branch, tag or commit; None takes the newest.

    Raises:
        ModelError: It is not there, or the Hub is out of reach and it is not in the cache.
    """
    need("huggingface_hub")
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - a plain installation lacks it

    repo = MODELS.get(model, model)
    by_hand = f"download it elsewhere (hf download {repo} --local-dir DIR), give --semantic DIR"
    folder = ask_hub(
        lambda: snapshot_download(
            repo,
            revision=revision,
            allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.txt"],
            ignore_patterns=["*/*"],
        ),
        repo,
        by_hand,
    )
    return Path(folder)


def _download(info: Any, repo: str, file: str, folder: Path, by_hand: str) -> None:
    """One file of the revision asked about, its bytes those the Hub has a SHA-256 of.

    Of small files it has none; the folder's own hashes cover those that count.
    """
    from huggingface_hub import hf_hub_download  # noqa: PLC0415 - as above

    path = ask_hub(
        lambda: hf_hub_download(repo, file, revision=info.sha, local_dir=folder), repo, by_hand
    )
    (sibling,) = (sibling for sibling in info.siblings if sibling.rfilename == file)
    if sibling.lfs and sha256_file(Path(path)) != sibling.lfs.sha256:
        raise ModelError(
            f"{file} of {repo} came with another SHA-256 than the Hub has of it, and was deleted; "
            "try again, and tell its owner if it happens twice"
        )


def _by_hand(repo: str, file: str | None, name: str) -> str:
    """What to do where the Hub cannot be reached."""
    address = f"https://huggingface.co/{repo}"
    if file is None:
        return f"download {address} elsewhere and give its folder to --pixel"
    return f"download {file} from {address} and run: aligngemini models import {file} --name {name}"
