"""Code and data digests: what a function is, what a value is, and what changed between two of them."""

from tidemill.fingerprint.difference import difference
from tidemill.fingerprint.prints import CodePrint, CodePrints, NoFunction, fingerprint
from tidemill.fingerprint.trace import Trace, seen

__all__ = ["CodePrint", "CodePrints", "NoFunction", "Trace", "difference", "fingerprint", "seen"]
