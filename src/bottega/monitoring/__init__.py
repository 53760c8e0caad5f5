"""Step 7 at work: what is looked at while a design is served."""
