"""How the branches' evidence becomes one verdict."""

from pathlib import Path

from aligngemini.fusion.base import FusionError, Rule, join
from aligngemini.fusion.rules import Or, Vote, Weighted, fuse_or

__all__ = ["FUSIONS", "FusionError", "Rule", "fuse_or", "join", "open_rule"]

FUSIONS: dict[str, Rule] = {rule.name: rule for rule in (Or(), Weighted(), Vote())}


def open_rule(spec: "str | Path | Rule") -> Rule:
    """A rule by name, or the one in a file.

    Args:
        spec: `or`, `weighted`, `vote`, a file that `aligngemini fuse fit` wrote, or a rule.

    Raises:
        FusionError: There is no such rule, or the file cannot be used.
    """
    if not isinstance(spec, str | Path):
        return spec
    if str(spec) in FUSIONS:
        return FUSIONS[str(spec)]
    if not Path(spec).is_file():
        known = ", ".join(FUSIONS)
        raise FusionError(
            f"unknown rule {str(spec)!r}; known: {known}, or a file that aligngemini fuse fit wrote"
        )
    from aligngemini.fusion.fitted import FittedRule  # noqa: PLC0415 - few runs need it

    return FittedRule.read(Path(spec))
