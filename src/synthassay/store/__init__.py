"""Stage keys, atomic commits, resume and provenance records."""
