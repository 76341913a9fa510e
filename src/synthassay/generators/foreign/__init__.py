"""Pretrained generators of others: loaded from a local path, sampled through our own protocol, never executed."""
