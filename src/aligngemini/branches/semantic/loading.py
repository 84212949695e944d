"""A semantic branch by what the user calls its model."""

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from aligngemini.branches.base import Branch
from aligngemini.branches.semantic import SemanticBranch
from aligngemini.branches.semantic.backend import Backend
from aligngemini.branches.semantic.server import ServerBackend
from aligngemini.runtimes.folder import ModelError
from aligngemini.runtimes.semantic_folder import (
    UNMEASURED,
    SemanticSettings,
    open_semantic_folder,
    open_semantic_settings,
)

ADAPTER_AT_URL = re.compile(r"(?P<folder>.+?)@(?P<url>[a-z]+://.*)")
NEEDED = ("torch", "transformers", "peft", "accelerate")


def load_semantic(
    spec: str | Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    explain: bool = False,
    max_pixels: int | None = None,
    four_bit: bool = False,
) -> Branch:
    """Load a vision-language model, or try the server that has one.

    Args:
        spec: A folder that `aligngemini train semantic` wrote; a base model by folder, short name
            or repository of the Hub; or the URL of an OpenAI-compatible server, as
            `http://host:port/v1`, with `#NAME` where it has several models, or
            `http://host:port/v1/systemone#NAME` for that endpoint of `transformers serve`. A folder
            that `aligngemini train semantic` wrote and `@` before the URL, `DIR@URL`, are for a
            server that holds this adapter: wording, sizes and thresholds are the folder's.
        device: `auto`, `cpu` or `cuda`; a server has its own.
        threads: CPU threads of one forward pass; None leaves it to PyTorch.
        explain: Whether to have reasons written.
        max_pixels: Larger images are shrunk to this many; None keeps the model's own.
        four_bit: Whether to hold the base model's weights in four bits.

    Raises:
        ModelError: It is not there, or cannot be used.
    """
    backend: Backend
    if "://" in str(spec):
        backend = _server(str(spec), max_pixels)
    else:
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise ModelError(
                f"a vision-language model in this process needs {', '.join(missing)}: "
                'pip install "aligngemini[vlm]", or give the URL of a server'
            )
        folder = open_semantic_folder(spec, max_pixels=max_pixels)
        from aligngemini.branches.semantic.local import (  # noqa: PLC0415 - seconds to import
            LocalBackend,
        )

        backend = LocalBackend(folder, device=device, threads=threads, four_bit=four_bit)
    return SemanticBranch(backend, explain=explain)


def _server(spec: str, max_pixels: int | None) -> ServerBackend:
    match = ADAPTER_AT_URL.fullmatch(spec)
    address = match["url"] if match else spec
    url = urlsplit(address)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ModelError(f"{address} is no URL of a server: give http(s)://HOST:PORT/v1")
    if url.username or url.password:
        raise ModelError(
            "a name or password in the URL would stand in every record; "
            "put the server's key into the environment as ALIGNGEMINI_API_KEY"
        )
    settings, calibration = SemanticSettings(base="the server's"), UNMEASURED
    if match:
        settings, calibration = open_semantic_settings(Path(match["folder"]))
    path = url.path.rstrip("/")
    return ServerBackend(
        f"{url.scheme}://{url.netloc}{path.removesuffix('/systemone') or '/v1'}",
        url.fragment or None,
        systemone=path.endswith("/systemone"),
        prompt=settings.prompt,
        min_pixels=settings.min_pixels,
        max_pixels=max_pixels or settings.max_pixels,
        calibration=calibration,
    )
