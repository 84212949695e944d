"""A matplotlib figure as SVG that may stand in a page with a strict Content-Security-Policy."""

import io
import re
from typing import Any
from xml.etree.ElementTree import Element, tostring

from defusedxml.ElementTree import fromstring
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

INK = "#000000"
"""What is drawn in this colour takes the page's own text colour, by day and by night."""

_SETTINGS: Any = {  # matplotlib types its keys one by one
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "aligngemini",  # the same figure gives the same bytes
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a dollar sign
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
}
_FONT = re.compile(r"(?:(\d+|bold) )?(\d+(?:\.\d+)?)px ")
_DROPPED = ("metadata", "style")


def settings() -> Any:
    """A context in which figures are to be drawn."""
    return rc_context(_SETTINGS)


def inline_svg(figure: Figure, label: str) -> Markup:
    """The figure as an SVG element.

    Inline styles, which the policy forbids, become attributes; fonts are left to the page.

    Args:
        figure: Drawn within `settings`.
        label: What it shows, for those who do not see it.
    """
    file = io.BytesIO()
    with settings():
        figure.savefig(file, format="svg", transparent=True)
    root = fromstring(file.getvalue())
    for element in list(root.iter()):
        _plain(element)
    root.attrib.pop("version", None)
    root.attrib.update(
        {
            "role": "img",
            "aria-label": label,
            "stroke-linejoin": "round",
            "stroke-linecap": "butt",
        }
    )
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704 - matplotlib's, texts escaped


def _plain(element: Element) -> None:
    element.tag = element.tag.rpartition("}")[2]
    for child in list(element):
        if child.tag.rpartition("}")[2] in _DROPPED:
            element.remove(child)
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    if element.tag == "g":
        attributes.pop("id", None)  # would be there twice on a page of several figures
    for declaration in attributes.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            attributes.update(_font(value))
        elif name and not name.startswith("font-family"):
            attributes[name] = value
    for name in ("fill", "stroke"):
        if attributes.get(name) == INK:
            attributes[name] = "currentColor"
    if element.tag == "text":
        attributes.setdefault("fill", "currentColor")
    element.attrib.clear()
    element.attrib.update(attributes)


def _font(shorthand: str) -> dict[str, str]:
    found = _FONT.search(f"{shorthand} ")
    if found is None:
        return {}
    weight = {"font-weight": found[1]} if found[1] else {}
    return {"font-size": found[2], **weight}
