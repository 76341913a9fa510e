"""The section about the real scans: what the data card says, in sentences, figures and tables."""
