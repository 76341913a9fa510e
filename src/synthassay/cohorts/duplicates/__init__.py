"""Images of one patient that stand under another patient's id as well: found, told, and kept from leaking."""
