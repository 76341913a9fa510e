"""Figures of the report: one file per kind; each function returns inline SVG or ``None`` when nothing can be drawn."""
