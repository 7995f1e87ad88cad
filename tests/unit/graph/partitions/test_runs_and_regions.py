"""Sets of runs, and regions of several axes, do what Python's sets of numbers and points do."""

from __future__ import annotations

from itertools import pairwise
from itertools import product as combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.graph.partitions import regions, runs

numbers = st.frozensets(st.integers(-5, 60), max_size=50)
sparse = st.frozensets(st.integers(0, 3), max_size=2)
OPERATIONS = [("union", frozenset.union), ("intersection", frozenset.intersection), ("difference", frozenset.difference)]


def is_normal(found: runs.Runs) -> bool:
    return len(found) % 2 == 0 and all(a < b for a, b in pairwise(found))


@pytest.mark.parametrize(("name", "model"), OPERATIONS)
@given(a=numbers, b=numbers | sparse)
def test_an_operation_on_runs_is_the_one_on_sets(name, model, a, b) -> None:
    for left, right in ((a, b), (b, a)):
        found = getattr(runs, name)(runs.of_indices(left), runs.of_indices(right))
        assert found == runs.of_indices(model(left, right))
        assert is_normal(found)


@pytest.mark.parametrize(("name", "model"), OPERATIONS)
@given(b=st.frozensets(st.integers(0, 400), max_size=3), gaps=st.frozensets(st.integers(0, 400), max_size=100))
def test_a_small_set_beside_a_large_one_is_looked_up_and_gives_the_same(name, model, b, gaps) -> None:
    a = frozenset(range(0, 400, 2)) - gaps
    for left, right in ((a, b), (b, a)):
        assert getattr(runs, name)(runs.of_indices(left), runs.of_indices(right)) == runs.of_indices(model(left, right))


@given(spans=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_spans_that_overlap_or_touch_become_one_run(spans) -> None:
    assert runs.normal(spans) == runs.of_indices({number for lo, hi in spans for number in range(lo, hi)})


@given(sets=st.lists(numbers, max_size=6))
def test_many_sets_are_joined_at_once(sets) -> None:
    assert runs.joined([runs.of_indices(one) for one in sets]) == runs.of_indices(frozenset().union(*sets))


@given(a=numbers, count=st.integers(0, 60), lo=st.integers(-8, 70), hi=st.integers(-8, 70))
def test_parts_of_a_set(a, count, lo, hi) -> None:
    mine, ordered = runs.of_indices(a), sorted(a)
    assert list(runs.indices(mine)) == ordered
    assert runs.size(mine) == len(ordered)
    assert runs.take(mine, count) == runs.of_indices(ordered[:count])
    assert runs.take_last(mine, count) == runs.of_indices(ordered[max(0, len(ordered) - count) :])
    assert runs.drop(mine, count) == runs.of_indices(ordered[count:])
    assert runs.clip(mine, lo, hi) == runs.of_indices(n for n in ordered if lo <= n < hi)
    assert all(runs.contains(mine, n) == (n in a) for n in range(-8, 64))


@given(a=numbers, before=st.integers(-9, 9), length=st.integers(0, 9))
def test_widening_moves_every_number_by_every_step(a, before, length) -> None:
    after = before + length
    assert runs.widened(runs.of_indices(a), before, after) == runs.of_indices({n + k for n in a for k in range(before, after + 1)})


def points(axes: int, largest: int = 6):
    return st.frozensets(st.tuples(*[st.integers(0, largest)] * axes), max_size=40)


def box_of(region: frozenset[tuple[int, ...]], axes: int) -> regions.Region:
    return regions.joined([regions.product([(n, n + 1) for n in point]) for point in region], axes)


def listed(region: regions.Region, axes: int) -> list[tuple[int, ...]]:
    return [point for box in regions.boxes(region, axes) for point in combinations(*map(runs.indices, box))]


def is_canonical(region: regions.Region, axes: int) -> bool:
    if axes == 1:
        return is_normal(region)
    apart = all(a[1] < b[0] or (a[1] == b[0] and a[2] != b[2]) for a, b in pairwise(region))
    return apart and all(lo < hi and inner and is_canonical(inner, axes - 1) for lo, hi, inner in region)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize(("name", "model"), OPERATIONS)
@given(data=st.data())
def test_an_operation_on_regions_is_the_one_on_sets_of_points(axes, name, model, data) -> None:
    a, b = data.draw(points(axes)), data.draw(points(axes))
    found = getattr(regions, name)(box_of(a, axes), box_of(b, axes), axes)
    assert found == box_of(model(a, b), axes)
    assert is_canonical(found, axes)
    assert sorted(listed(found, axes)) == sorted(model(a, b))
    assert regions.count(found, axes) == len(model(a, b))


@given(a=points(3, 3), order=st.permutations([0, 1, 2]))
def test_axes_change_places(a, order) -> None:
    moved = frozenset(tuple(point[axis] for axis in order) for point in a)
    assert regions.permuted(box_of(a, 3), order) == box_of(moved, 3)


@given(a=points(2, 4))
def test_a_region_knows_its_points(a) -> None:
    mine = box_of(a, 2)
    assert all(regions.contains(mine, (x, y)) == ((x, y) in a) for x in range(-1, 6) for y in range(-1, 6))


def test_what_is_regular_is_one_band() -> None:
    assert regions.product([(0, 1000), (0, 1000)]) == ((0, 1000, (0, 1000)),)
    assert regions.product([(0, 5), ()]) == ()
