"""Networks of the generators: maps of tensors, without losses, samplers or files."""
