"""Diffusion and flow: objectives, solvers, and what their families share."""
