"""Generators: three trained families (EDM diffusion, R3GAN, VAE) behind one protocol, controls, and external sets."""
