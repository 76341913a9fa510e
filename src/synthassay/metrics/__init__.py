"""Fidelity metrics, classification metrics and intervals: arrays in, numbers with their uncertainty out.

The functions take ``[n, d]`` arrays with one resampling unit (patient) a row and know nothing of files or settings.
``fidelity.score_fidelity`` puts them together for a set under test; definitions are given where each is computed.
"""
