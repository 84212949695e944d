"""Model folders to the Hugging Face Hub."""

from pathlib import Path

from aligngemini.runtimes.folder import CARD, PORTABLE, open_folder
from aligngemini.runtimes.hub import ask_hub, need

HEADER = """---
library_name: aligngemini
pipeline_tag: image-classification
---

"""
"""What the Hub reads of a page, before the card."""
LOG_IN = "nothing was changed here; a login is needed: hf auth login"


def push_model(folder: Path, repo: str, *, private: bool = False) -> str:
    """Upload a model folder in one commit, its card also as the repository's page.

    Args:
        folder: A sealed model folder.
        repo: `OWNER/NAME`; made where it is not there.
        private: Whether a repository that is made is for its owner's eyes alone.

    Returns:
        The commit's address.

    Raises:
        ModelError: The folder cannot be used, or the Hub does not take it.
    """
    model = open_folder(folder)
    need("huggingface_hub")
    from huggingface_hub import CommitOperationAdd, HfApi  # noqa: PLC0415 - see `need`

    files = {part: model.path / part for part in PORTABLE if (model.path / part).is_file()}
    operations = [CommitOperationAdd(name, path) for name, path in files.items()]
    if CARD in files:
        page = HEADER.encode() + files[CARD].read_bytes()
        operations.append(CommitOperationAdd("README.md", page))
    message = f"{model.name} {model.fingerprint}"
    api = HfApi()
    ask_hub(lambda: api.create_repo(repo, private=private, exist_ok=True), repo, LOG_IN)
    commit = ask_hub(
        lambda: api.create_commit(repo, operations, commit_message=message), repo, LOG_IN
    )
    return str(commit.commit_url)
