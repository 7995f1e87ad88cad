"""What a table holds: order-free digests, and comparison within a tolerance."""
