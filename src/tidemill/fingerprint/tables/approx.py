"""Whether two tables hold the same rows when floating-point numbers may differ a little: `same=approx(1e-9)`.

Rows are put beside each other without knowing their order. Decides nothing about what follows from it.
"""

from __future__ import annotations

from typing import Any

from tidemill.errors import BadSetting
from tidemill.fingerprint.tables.digests import is_table

__all__ = ["approx_equal"]

_GROUP = 64  # rows that differ in floats only; more are not paired, which says "different" at worst


def approx_equal(old: Any, new: Any, tolerance: float) -> bool:
    """Whether the tables have the same columns and, in some order, the same rows.

    Floats may differ by `tolerance` relative to the larger of the two (NaN equals NaN, null equals null); everything
    else, whole numbers included, must be equal. False also when rows that are alike but for their floats are too many
    to be paired with certainty: never a wrong yes. Raises `BadSetting` for a tolerance that is not within 0 and 1.
    """
    if not 0 <= tolerance < 1:
        raise BadSetting(
            f"{tolerance!r} is no tolerance.",
            why="It is the part by which a number may differ from the one before.",
            mend="Take something small, as in same=approx(1e-9).",
        )
    if not is_table(old) or not is_table(new):
        return False
    import pyarrow as pa  # lazily: an optional extra

    before, after = pa.table(old), pa.table(new)
    return before.num_rows == after.num_rows and _Comparison(before, after, tolerance).equal()


class _Comparison:
    def __init__(self, old: Any, new: Any, tolerance: float) -> None:
        import numpy as np
        import pyarrow as pa

        from tidemill.fingerprint.tables import rowhash  # lazily, all three: they are optional extras

        self.numpy, self.arrow, self.rowhash = np, pa, rowhash
        self.tolerance = tolerance
        self.old, self.new = old, new

    def equal(self) -> bool:
        np = self.numpy
        if self._schema(self.old) != self._schema(self.new):
            return False
        left, left_keys = self._sides(self.old)
        right, right_keys = self._sides(self.new)
        left_order, right_order = self._order(left, left_keys), self._order(right, right_keys)
        keys = left_keys[left_order]
        if not np.array_equal(keys, right_keys[right_order]):
            return False
        left, right = left[:, left_order], right[:, right_order]
        wrong = np.flatnonzero(~self._close(left, right).all(axis=0))
        if not wrong.size:
            return True
        # Among rows of one key a small difference in the first float may have swapped two.
        return all(self._paired(left[:, group], right[:, group]) for group in self._groups(keys, left[0], right[0], wrong))

    def _order(self, floats: Any, keys: Any) -> Any:
        """Rows by key; those that share one, by their floats."""
        np = self.numpy
        order = np.argsort(keys, kind="stable")
        placed = keys[order]
        same = np.zeros(len(keys) + 1, dtype=bool)
        same[1:-1] = placed[1:] == placed[:-1]
        shared = same[1:] | same[:-1]
        rows = order[shared]
        if rows.size:
            order[shared] = rows[np.lexsort((*floats[::-1][:, rows], keys[rows]))]
        return order

    def _schema(self, table: Any) -> list[tuple[str, str]]:
        return [(field.name, self.rowhash.type_name(field.type)) for field in table.schema]

    def _sides(self, table: Any) -> tuple[Any, Any]:
        """The floats (with what is null marked by a column of its own hash), and one key per row for everything else."""
        np, types = self.numpy, self.arrow.types
        keys = np.zeros(table.num_rows, dtype=np.uint64)
        floats = []
        for position, (field, column) in enumerate(zip(table.schema, table.columns, strict=True)):
            seed = self.rowhash.seed_of(str(position), field.name)
            if types.is_floating(field.type):
                floats.append(np.asarray(column.fill_null(0.0)).astype(np.float64))
                column = column.is_null()  # noqa: PLW2901  which values are missing must be equal
            found = [self.rowhash.hashes(chunk, seed) for chunk in column.chunks]
            keys += np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)
        empty = np.zeros((0, table.num_rows))
        return (np.vstack(floats) if floats else empty), self.rowhash.mix(keys)

    def _close(self, left: Any, right: Any) -> Any:
        np = self.numpy
        with np.errstate(invalid="ignore", over="ignore"):
            near = np.abs(left - right) <= self.tolerance * np.maximum(np.abs(left), np.abs(right))
        finite = np.isfinite(left) & np.isfinite(right)
        return np.where(finite, near, (left == right) | (np.isnan(left) & np.isnan(right)))

    def _groups(self, keys: Any, left: Any, right: Any, wrong: Any) -> list[Any]:
        """The runs of rows around those in `wrong` that cannot be told apart by key or first float."""
        np = self.numpy
        below, above = np.fmax(left[:-1], right[:-1]), np.fmin(left[1:], right[1:])
        cuts = np.flatnonzero((keys[1:] != keys[:-1]) | ~(self._close(below, above) | (above < below))) + 1
        edges = np.concatenate([[0], cuts, [len(keys)]])
        runs = np.unique(np.searchsorted(edges, wrong, side="right") - 1)
        return [slice(int(edges[run]), int(edges[run + 1])) for run in runs]

    def _paired(self, left: Any, right: Any) -> bool:
        """Whether each row on the left has a row of its own on the right that is close (Kuhn's augmenting paths)."""
        count = left.shape[1]
        if count > _GROUP:
            return False
        close = self._close(left[:, :, None], right[:, None, :]).all(axis=0)
        taken: dict[int, int] = {}

        def place(row: int, tried: set[int]) -> bool:
            for other in self.numpy.flatnonzero(close[row]).tolist():
                if other not in tried:
                    tried.add(other)
                    if other not in taken or place(taken[other], tried):
                        taken[other] = row
                        return True
            return False

        return all(place(row, set()) for row in range(count))
