"""Code and data digests: what a function is, what a value is, and what changed between two of them."""

from tidemill.fingerprint.difference import difference
from tidemill.fingerprint.prints import CodePrint, CodePrints, NoFunction, fingerprint
from tidemill.fingerprint.tables.approx import approx_equal
from tidemill.fingerprint.tables.digests import TableDigest, is_table, joined, table_digest
from tidemill.fingerprint.trace import Trace, seen

__all__ = [
    "CodePrint",
    "CodePrints",
    "NoFunction",
    "TableDigest",
    "Trace",
    "approx_equal",
    "difference",
    "fingerprint",
    "is_table",
    "joined",
    "seen",
    "table_digest",
]
