"""Which partitions of one asset read which of another, and which have all that they read."""
