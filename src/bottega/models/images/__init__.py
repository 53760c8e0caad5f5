"""Pictures: decoded within bounds, and encoded as vectors by a network of our own or by one from a file."""
