"""Decoded values that were read lately, bounded in bytes. Their owner never hands them out where they could be changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

_NOTHING = (None, 0)


class Recall:
    """The last values by key, as many as fit in `limit` bytes; the very last one always stays."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._values: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> tuple[object, bool]:
        """The value and True, or None and False."""
        with self._lock:
            if key not in self._values:
                return None, False
            self._values.move_to_end(key)
            return self._values[key][0], True

    def put(self, key: Hashable, value: object, size: int) -> None:
        """Remember `value`, which takes about `size` bytes."""
        with self._lock:
            self._held += size - self._values.pop(key, _NOTHING)[1]
            self._values[key] = (value, size)
            while self._held > self._limit and len(self._values) > 1:
                self._held -= self._values.popitem(last=False)[1][1]
