"""One self-contained HTML page of blocks: no request to anywhere, nothing of a file runs."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Template
from markupsafe import Markup

from aligngemini import __version__
from aligngemini.evaluation.blocks import Block
from aligngemini.report.page import environment, policy


def page(title: str, lead: str, blocks: Sequence[Block], *, tone: str = "plain") -> str:
    """An HTML page.

    The same blocks give the same text: there is no date on it.

    Args:
        title: Heading.
        lead: What is said first.
        blocks: In their order; those without content are the caller's to leave out.
        tone: `plain`, `good` or `alarm`: how the lead is set.
    """
    style = _style()
    return _template().render(
        title=title,
        lead=lead,
        tone=tone,
        blocks=blocks,
        style=Markup(style),  # noqa: S704 - ours, and the hash below allows nothing else
        policy=policy(style),
        version=__version__,
    )


@cache
def _style() -> str:
    return files(__package__).joinpath("templates/style.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    return environment(__package__).get_template("page.html.j2")
