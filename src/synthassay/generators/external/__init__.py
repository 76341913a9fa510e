"""Sets that somebody else generated: files that nobody vouches for → images in the cohort's shape."""
