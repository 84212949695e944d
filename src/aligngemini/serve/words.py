"""What the service says to people of a verdict, beside the record."""

from typing import Any

from aligngemini.report import words
from aligngemini.report.explain import explain
from aligngemini.verdict import Verdict

ERROR_RATES = "How often it is wrong"


def words_of(verdict: Verdict) -> dict[str, Any]:
    """The `words` of a result, safe to show as they are.

    `headline` is the verdict, `promise` how often that is wrong, `branches` one card each,
    `explanation` how the verdict came about in sentences, and `sections` the same under headings.
    """
    titles = words.branch_titles(verdict)
    sections = explain(verdict)
    said = {
        "kind": words.kind_of(verdict),
        "headline": words.verdict_words(verdict),
        "promise": " ".join(dict(sections).get(ERROR_RATES, [])) or None,
        "branches": {
            name: {
                "title": titles[name],
                "question": words.branch_question(name),
                "text": "; ".join([words.why_words(evidence), *words.area_words(evidence)]),
            }
            for name, evidence in verdict.branches.items()
        },
        "explanation": [line for _, lines in sections for line in lines],
        "sections": [{"title": title, "lines": lines} for title, lines in sections],
    }
    return {name: _printable(value) for name, value in said.items()}


def _printable(value: Any) -> Any:
    """The same with every text made safe to show: some of it comes from files."""
    if isinstance(value, dict):
        return {key: _printable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    return words.printable(value) if isinstance(value, str) else value
