"""The real data's own card: who was scanned where, how the places differ, and whether pixels give the place away."""
