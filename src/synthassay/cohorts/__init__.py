"""Cohorts: real scans and the digital phantom in, one prepared cohort out."""
