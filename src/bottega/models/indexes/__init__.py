"""Indexes of vectors: exact, or found by faiss and ordered exactly; the recall of each is measured when it is built."""
