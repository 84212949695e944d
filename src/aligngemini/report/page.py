"""What every HTML page of the package has in common: escaping, and a policy that holds it in."""

from base64 import b64encode
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from aligngemini.report import words


def environment(package: str) -> Environment:
    """A Jinja environment over a package's `templates` in which no value can forget its escaping.

    Args:
        package: Dotted name.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        # Every value a template prints passes here, so no string can be forgotten.
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def policy(style: str, script: str | None = None) -> str:
    """A Content-Security-Policy under which only our own style and script count.

    Args:
        style: Text of the page's one style element.
        script: Text of its one script element; None where it has none.
    """
    scripts = "" if script is None else f"script-src '{_hash(script)}'; "
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"{scripts}base-uri 'none'; form-action 'none'"
    )


def data_uri(kind: str, data: bytes) -> Markup:
    """A file as a link that holds it.

    Args:
        kind: Its media type.
        data: Its bytes.
    """
    # The base64 alphabet needs no escaping, and escaping megabytes of it takes time.
    return Markup(f"data:{kind};base64,{b64encode(data).decode()}")  # noqa: S704


def _finalize(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return words.printable(value)
    return value


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
