"""Connections and secrets of tasks. `secret` and its look-up cost nothing; `resource` imports pydantic."""
