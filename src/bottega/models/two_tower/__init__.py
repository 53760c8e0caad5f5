"""Two towers: people and items become vectors of one space, learnt in PyTorch and served in NumPy."""
