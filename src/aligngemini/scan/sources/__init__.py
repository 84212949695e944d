"""Where the images of a scan come from: files, archives, tables and lists, here and elsewhere."""

from aligngemini.scan.sources.opening import open_sources
from aligngemini.scan.sources.remote import SourceError

__all__ = ["SourceError", "open_sources"]
