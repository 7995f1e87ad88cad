"""Checks on values, before they are published. Knows tables by protocol; no asset, no store and no clock."""
