"""Versions of assets as people ask for them: brought up to date, explained, branched, promoted, loaded.

Joins the planner, the store and an engine's session; prints nothing.
"""
