"""Cases whose answer is known, run through the public metrics: what an installation finds beside what theory says."""
