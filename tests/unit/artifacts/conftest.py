"""A store in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.artifacts import Artifacts
from tidemill.artifacts.local import LocalFolder


@pytest.fixture
def store(tmp_path: Path) -> Artifacts:
    return Artifacts(LocalFolder(tmp_path / "artifacts"))
