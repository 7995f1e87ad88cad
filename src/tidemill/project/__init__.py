"""The composition root: settings → store, artifacts, executor, engine; and what a person asks of a project.

Law: it joins rooms and decides nothing that the machine decides; what it answers are values, which the command line and
the API turn into text. It never imports the user's modules: the loader does, in its own process.
"""
