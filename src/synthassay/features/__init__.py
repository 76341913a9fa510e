"""Encoders: images → features ``[n, d]``, with an identity that says when two feature sets may be compared."""
