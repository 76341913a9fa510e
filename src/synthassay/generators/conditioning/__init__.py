"""What generators are conditioned on, and which conditions are sampled."""
