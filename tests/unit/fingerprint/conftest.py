"""A small project in a folder of the test: written, imported, edited, imported again, fingerprinted."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import textwrap
from pathlib import Path

import pytest

from tidemill.fingerprint import CodePrint, CodePrints, difference

VERSIONS = {"numpy": "2.4.6", "msgspec": "0.22.0"}
_ticks = itertools.count(1)


class Shop:
    """The package `shop` below a folder. `prints` is what fingerprints its functions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = dict(VERSIONS)
        self.prints = self.fresh()

    def fresh(self, **options) -> CodePrints:
        return CodePrints(local=lambda name: name.partition(".")[0] == "shop", versions=self.version, **options)

    def version(self, package: str) -> str | None:
        return self.versions.get(package)

    def write(self, **modules: str) -> None:
        """Write `shop/NAME.py` for each; `init` is the package itself. Loaded modules are forgotten."""
        package = self.folder / "shop"
        package.mkdir(exist_ok=True)
        for name, text in {"init": "", **modules}.items() if not (package / "__init__.py").exists() else modules.items():
            path = package / ("__init__.py" if name == "init" else f"{name}.py")
            path.write_text(textwrap.dedent(text))
            os.utime(path, ns=(next(_ticks) * 10**9,) * 2)  # files of one size, written within a tick of the clock
        self.forget()

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def take(self, name: str):
        """`orders.total`: the object of that name in `shop`, imported."""
        module, _, attribute = name.rpartition(".")
        found = importlib.import_module(f"shop.{module}" if module else "shop")
        return getattr(found, attribute)

    def of(self, name: str) -> CodePrint:
        return self.prints.of(self.take(name))

    def edit(self, module: str, old: str, new: str) -> None:
        path = self.folder / "shop" / f"{module}.py"
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is not once in {module}"
        self.write(**{module: text.replace(old, new)})

    def reasons(self, name: str, *, after) -> list[str]:
        """What `difference` says of `name` once `after()` was done."""
        before = self.of(name)
        after()
        return difference(before, self.of(name))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    made = Shop(tmp_path)
    yield made
    made.forget()
