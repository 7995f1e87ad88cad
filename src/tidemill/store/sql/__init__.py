"""The verbs of the store as statements, one file per noun. Knows no driver: it speaks to a `Session`."""
