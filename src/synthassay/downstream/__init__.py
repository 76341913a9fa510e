"""Classifiers trained on real and on synthetic images, and what the difference costs on the same held-out patients."""
