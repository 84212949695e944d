"""The version, for modules that may import nothing else of the package."""

__version__ = "0.1.0"
