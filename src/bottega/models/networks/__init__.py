"""Networks over vectors of categories and transformed numbers: trained in PyTorch, served without it."""
