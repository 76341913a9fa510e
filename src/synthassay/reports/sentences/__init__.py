"""Findings as sentences: one file per family of results."""
