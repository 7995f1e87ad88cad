"""The command line: each command parses, asks the project, and renders; nothing else.

Law: one file per command, imported when it is called for; `render/` turns values into text and knows no store.
Messages for people go to stderr, data to stdout. No decision about a run is taken here.
"""
