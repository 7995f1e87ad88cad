"""Assets and sources: named, versioned results that outlive a run, and data that others make and we observe.

Knows definitions and graphs; no store, no version but those that it is handed.
"""
