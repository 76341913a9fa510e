"""Each speed claim: its script and its committed output."""
