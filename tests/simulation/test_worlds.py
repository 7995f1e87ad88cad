"""Thousands of seeded worlds in which everything goes wrong, and every promise is kept. TIDEMILL_SEEDS=n: worlds 0 to n - 1."""

import os

import pytest

from simulation.checks import check, same_end
from simulation.world import World

CHUNK = 50
WORLDS = int(os.environ.get("TIDEMILL_SEEDS", "2000"))


@pytest.mark.parametrize("first", range(0, WORLDS, CHUNK))
def test_every_promise_is_kept_in_every_world(first: int) -> None:
    for seed in range(first, min(first + CHUNK, WORLDS)):
        try:
            world = World(seed).live()
            check(world)
            same_end(world)
        except BaseException as error:
            error.add_note(f"in world {seed}: World({seed}).live()")
            raise
