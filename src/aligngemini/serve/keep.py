"""Keeping what came in, for those who asked for it."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from aligngemini.report.files import replacing
from aligngemini.serve.uploads import Upload
from aligngemini.serve.worker import Answer


def keep(folder: Path, uploads: Sequence[Upload], answers: Sequence[Answer]) -> None:
    """Write each file as its SHA-256, and its record beside it with the suffix `.json`.

    Raises:
        OSError: The disk would not take it.
    """
    for upload, answer in zip(uploads, answers, strict=True):
        if not upload.data:
            continue
        name = sha256(upload.data).hexdigest()
        for path, data in ((folder / name, upload.data), (folder / f"{name}.json", answer.body)):
            with replacing(path) as file:
                file.write(data)
