"""Declared types: what a function takes, what the parts of a result are, and what fits where. Knows no graph."""
