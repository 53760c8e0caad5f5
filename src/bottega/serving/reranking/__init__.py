"""Re-ranking: what changes an order after the models have ranked, one kind of stage a file."""
