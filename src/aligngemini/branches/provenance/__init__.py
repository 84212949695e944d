"""The provenance branch: what an image's own file says about where it is from.

It reads the file, not the pixels. Its verdict rests on C2PA signatures alone:

* `fake`: a valid C2PA manifest says that AI made the image, and its signer is trusted, that is,
  its certificate chains to an authority of the `trust` list.
* `undecided`: a valid manifest says that AI made the image but its signer is not on the list
  (anyone can make a certificate, so it may not accuse; yet "no sign of AI" would be untrue), or a
  valid manifest, trusted or not, says that AI made a part of it, or an image it was made from.
* no verdict: everything else. An invalid signature proves nothing, a signed camera capture is
  strong but not absolute, and metadata that nobody signed (IPTC/XMP source types, generation
  settings, workflows, generator names, camera EXIF) is a hint shown beside the verdict: it is as
  easily added as removed.

What is absent makes no signal. What is there and cannot be read makes one with the state
`unreadable`.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from aligngemini.branches.provenance.containers import Metadata, read_metadata
from aligngemini.branches.provenance.credentials import CredentialReader, read_trust
from aligngemini.branches.provenance.exif import read_exif
from aligngemini.branches.provenance.generators import find_generators
from aligngemini.branches.provenance.manifests import Findings
from aligngemini.branches.provenance.text import Field, clean
from aligngemini.branches.provenance.xmp import read_xmp
from aligngemini.evidence import Evidence, Problem, Signal
from aligngemini.images.item import Image

__all__ = ["ProvenanceBranch"]

RULES_VERSION = "1"
MAX_SIGNALS = 40


class ProvenanceBranch:
    """Reads C2PA, IPTC, XMP, EXIF and the traces that generators leave in a file.

    Attributes:
        name: `provenance`.
        fingerprint: Version of the rules and of the C2PA library, and the digest of the trust
            list when there is one.
    """

    name = "provenance"

    def __init__(self, trust: str | Path | None = None) -> None:
        """Prepare the readers.

        Args:
            trust: PEM file of certificate authorities whose C2PA signatures are believed. Without
                it no signer is trusted, so that nothing here can say `fake`.

        Raises:
            ValueError: The file is missing, or holds anything but authorities' certificates.
        """
        authorities = None if trust is None else read_trust(trust)
        self._credentials = CredentialReader(authorities)
        self._rules = f"rules-{RULES_VERSION}"
        if authorities is not None:
            self._rules += f"+trust-{hashlib.sha256(authorities.encode()).hexdigest()[:12]}"

    @cached_property
    def fingerprint(self) -> str:
        """See the class."""
        from importlib import metadata  # noqa: PLC0415 - slower to import than a photo is to read

        return f"{self._rules}+c2pa-{metadata.version('c2pa-python')}"

    def judge(self, images: Sequence[Image], *, heatmaps: bool = False) -> list[Evidence]:
        """Evidence for each image, in order. Never raises, whatever the bytes.

        Args:
            images: Their `data` is read; an image that never was a file has no provenance.
            heatmaps: Not used; metadata has no place in the picture.
        """
        return [self._judge(image.data) for image in images]

    def _judge(self, data: bytes) -> Evidence:
        start = time.perf_counter()
        reading = _Reading(data, self._credentials)
        return Evidence(
            verdict=reading.findings.verdict,
            signals=tuple(dict.fromkeys(reading.signals))[:MAX_SIGNALS],
            error=reading.error,
            model=f"{self.name}@{self._rules}",
            ms=1000 * (time.perf_counter() - start),
        )


class _Reading:
    """One file's way through all readers, each of which may fail without the others."""

    def __init__(self, data: bytes, credentials: CredentialReader) -> None:
        self.signals: list[Signal] = []
        self.findings = Findings(())
        self.error: Problem | None = None
        self._metadata = Metadata()
        self._fields: list[Field] = []
        if not data:
            return
        self._try("file", lambda: self._containers(data))
        self._try("exif", self._exif)
        self._try("xmp", self._xmp)
        self._try("c2pa", lambda: self._c2pa(data, credentials))
        fields = self._fields + self._metadata.texts
        self._try("text", lambda: self.signals.extend(find_generators(fields)))

    def _try(self, kind: str, read: Callable[[], None]) -> None:
        try:
            read()
        except Exception as error:
            # Whatever it is, it is a bug of ours in one reader: it is told, and the others go on.
            where = f"{type(error).__name__}: {clean(str(error), 100)}"
            self._unreadable(kind, f"an error of this program ({where})")
            self.error = Problem("internal", f"provenance, {kind} reader: {where}")

    def _unreadable(self, kind: str, why: str) -> None:
        self.signals.append(Signal(kind, "unreadable", None, clean(f"{kind}: {why}")))

    def _containers(self, data: bytes) -> None:
        self._metadata = read_metadata(data)
        for kind, why in self._metadata.problems:
            self._unreadable(kind, why)

    def _c2pa(self, data: bytes, credentials: CredentialReader) -> None:
        # A manifest that is kept elsewhere, or was taken out, is still named in the XMP packet,
        # under a property that museums use as well, for prose.
        named = any(
            field.name == "provenance" and field.text.startswith(("self#jumbf", "http"))
            for field in self._fields
        )
        certain = self._metadata.credentials or named
        if certain or self._metadata.maybe_credentials:
            self.findings = credentials.read(data, certain=certain)
            self.signals = [*self.findings.signals, *self.signals]

    def _exif(self) -> None:
        for block in self._metadata.exif:
            exif = read_exif(block)
            for problem in exif.problems:
                self._unreadable("exif", problem)
            self._fields += exif.texts
            if exif.camera is not None:
                self.signals.append(Signal("exif", "hint", "camera", clean(exif.camera)))

    def _xmp(self) -> None:
        for packet in self._metadata.xmp:
            xmp = read_xmp(packet)
            self._fields += xmp.fields
            if xmp.problem is not None:
                self._unreadable("xmp", xmp.problem)
