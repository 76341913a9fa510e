"""Diffusion and flow models: solvers, noise levels, guidance and their settings."""
