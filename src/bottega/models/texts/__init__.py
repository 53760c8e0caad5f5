"""Texts as vectors: by an encoder from a folder, or by one learnt here from the texts themselves."""
