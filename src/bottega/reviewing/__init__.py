"""The rules that read a design and say what would go wrong, before anything runs."""
