"""Proposals: from a table that nobody has described to a design for it, with the reason of each part."""
