"""A GAN after R3GAN with adaptive augmentation, for images and volumes."""
