"""C2PA manifests, read and checked by `c2pa-python`, which never reaches the network here."""

import io
import json
import re
from pathlib import Path
from typing import Any

from aligngemini.branches.provenance.manifests import Findings, judge_store
from aligngemini.branches.provenance.text import clean
from aligngemini.evidence import Signal

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
# Two walls each against fetching: not asked for, and no host allowed.
_SETTINGS: dict[str, Any] = {
    "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {
        "allowed_network_hosts": [],
        "allow_redirects": False,
        # Identity assertions name their signers by URLs that would have to be looked up.
        "decode_identity_assertions": False,
        "max_decompressed_manifest_size_in_mb": 16,
    },
}


def read_trust(trust: str | Path) -> str:
    """The certificates of a PEM file of authorities.

    Raises:
        ValueError: The file is missing, holds no certificate, or holds one that may not sign
            others.
    """
    import ssl  # noqa: PLC0415 - 10 ms that only those with a trust list should pay

    path = Path(trust)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ValueError(f"trust list {path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"trust list {path}: cannot be read ({error})") from error
    # Bundles put names and comments, in any alphabet, between the certificates.
    pem = "\n".join(_CERTIFICATE.findall(text))
    if not pem:
        raise ValueError(f"trust list {path}: holds no PEM certificate")
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        store.load_verify_locations(cadata=pem)
    except (ssl.SSLError, UnicodeEncodeError) as error:
        raise ValueError(f"trust list {path}: holds a damaged certificate") from error
    kinds = store.cert_store_stats()
    if kinds["x509_ca"] < kinds["x509"]:
        raise ValueError(f"trust list {path}: holds certificates that are not authorities")
    return pem + "\n"


class CredentialReader:
    """Reads the C2PA manifests of files."""

    def __init__(self, authorities: str | None) -> None:
        """Remember whom to believe.

        Args:
            authorities: PEM certificates of those whose signers are trusted; None trusts nobody.
        """
        self._settings = dict(_SETTINGS)
        if authorities is not None:
            self._settings["trust"] = {"user_anchors": authorities}

    def read(self, data: bytes, *, certain: bool) -> Findings:
        """What the manifests of a file say.

        Args:
            data: The whole file.
            certain: Whether the file is known to hold or name a manifest, so that finding none
                means that it could not be read.
        """
        import c2pa  # noqa: PLC0415 - 50 ms that only files with a manifest should pay

        try:
            # A context belongs to its process and costs little: one a file needs no care on forks.
            with c2pa.Context.from_dict(self._settings) as context:
                reader = c2pa.Reader.try_create(None, io.BytesIO(data), context=context)
                if reader is not None:
                    with reader:
                        return judge_store(json.loads(reader.json()))
        except c2pa.C2paError as error:
            return _unreadable(str(error))
        except (ValueError, RecursionError) as error:  # JSON that Python will not take
            return _unreadable(f"its contents are malformed: {error}")
        if certain:
            return _unreadable("the file names or holds one, but not where it could be read")
        return Findings(())


def _unreadable(why: str) -> Findings:
    if why.startswith("Remote:"):
        # "Remote: must fetch remote manifests from url ..."
        why = f"it is kept elsewhere and was not fetched ({why.rpartition(' ')[2]})"
    return Findings((Signal("c2pa", "unreadable", None, clean(f"C2PA manifest: {why}")),))
