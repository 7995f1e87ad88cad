"""The far side: the supervisor, which imports the project and forks, and the workers, which run its code.

Knows attempts and values through `ports.Artifacts`; neither runs, retries nor the metadata store.
"""
