"""Immutable values that all rooms share: handles, expressions, nodes, policies, graphs, keys.

Law: everything here is a frozen value that survives JSON. It knows no function, no clock, no file,
no process and no database: a graph can be read where the code that made it cannot be imported.
"""
