"""Compression: a champion made smaller and faster, and what that costs, measured against a contract."""
