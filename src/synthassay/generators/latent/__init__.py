"""Diffusion and flow in the latent of an autoencoder."""
