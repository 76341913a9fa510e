"""Networks that the families train."""
