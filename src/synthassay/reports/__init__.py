"""Results become one self-contained page, two machine-readable tables and, across runs, a leaderboard."""
