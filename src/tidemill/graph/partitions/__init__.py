"""Partitions: slices of data in time and by key, and the algebra of sets of them."""
