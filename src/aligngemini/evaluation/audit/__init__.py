"""Can a labelled set be solved without looking at a pixel?

In many collections photos are JPEG files of some size and AI images PNG files of another, and a
detector that scores well on them may have learned that. The audit reads headers only: how formats,
sizes, compression, colour modes and metadata are spread over the two classes, and how well a
decision tree of three questions tells the classes apart by those alone.
"""

from aligngemini.evaluation.audit.result import Audit, Distribution, Unreadable
from aligngemini.evaluation.audit.run import audit_rows, chosen

__all__ = ["Audit", "Distribution", "Unreadable", "audit_rows", "chosen"]
