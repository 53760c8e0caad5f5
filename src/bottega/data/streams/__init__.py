"""Streams: messages from a log of events or from Kafka, what they mean, and where those go that mean nothing."""
