"""Synthassay: assays of synthetic medical images against honest controls."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("synthassay")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
