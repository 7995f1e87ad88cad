"""The metadata store: what was, durably, in SQLite, PostgreSQL or memory. It decides nothing.

`open_store` is the door. This room knows no engine, no executor and no artifact.
"""

from tidemill.store.opening import open_store, upgrade
from tidemill.store.pages import page_key

__all__ = ["open_store", "page_key", "upgrade"]
