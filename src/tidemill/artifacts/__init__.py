"""Values by content: codecs make bytes of them, a location keeps the bytes under their digest.

Law: everything here is immutable once written and verified when read. It knows no run, no task and no database;
what is still needed is told to it (`sweep`).
"""

from tidemill.artifacts.collect import Swept, sweep
from tidemill.artifacts.location import Location, open_location
from tidemill.artifacts.store import Artifacts

__all__ = ["Artifacts", "Location", "Swept", "open_location", "sweep"]
