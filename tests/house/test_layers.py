"""A room imports lower ranks only: the contract stands in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from source import PACKAGE, ROOT


def test_rooms_import_lower_ranks_only() -> None:
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run([sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_folder_of_the_package_is_a_package() -> None:
    """A folder without `__init__.py` would be invisible to the contract, and to the wheel's readers."""
    folders = {path.parent for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts}
    assert not [
        str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists() and "migrations" not in folder.parts
    ]
