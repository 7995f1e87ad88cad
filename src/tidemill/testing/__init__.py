"""For tests, ours and yours: virtual time, graphs in a line, a simulated place to run, stores that fail when they are told to.

Law: nothing in the product imports this room. Everything in it is deterministic: the same seed gives the same run.
"""

from tidemill.engine.inline import run_in_memory as run_inline
from tidemill.testing.clock import VirtualClock
from tidemill.testing.loop import Stuck, VirtualLoop, run_virtually

__all__ = ["Stuck", "VirtualClock", "VirtualLoop", "run_inline", "run_virtually"]
