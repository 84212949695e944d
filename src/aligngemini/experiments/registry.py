"""The studies there are, each loaded only when it is asked for."""

from importlib import import_module

from aligngemini.experiments.study import Study, StudyError

STUDIES = {
    "decoders": "aligngemini.experiments.decoders:STUDY",
    "leakage": "aligngemini.experiments.leakage:STUDY",
    "fusion": "aligngemini.experiments.fusion:STUDY",
    "completeness": "aligngemini.experiments.completeness:STUDY",
    "alignment": "aligngemini.experiments.alignment:STUDY",
    "subtle": "aligngemini.experiments.subtle:STUDY",
}
"""Where each study is, by name: `module:attribute`."""


def open_study(name: str) -> Study:
    """A study by its name.

    Raises:
        StudyError: There is none of that name.
        ImportError: A package that it needs is not installed.
    """
    if name not in STUDIES:
        raise StudyError(f"there is no study {name!r}; there are {', '.join(STUDIES)}")
    module, _, attribute = STUDIES[name].partition(":")
    study: Study = getattr(import_module(module), attribute)
    return study
