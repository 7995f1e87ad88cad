"""Fingerprints of a project's functions: which modules are the project's, and which version a package has here.

Knows where modules are; what a function is made of is the fingerprint's own business.
"""

from __future__ import annotations

import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from tidemill.authoring.assets.parts import Code
from tidemill.fingerprint import CodePrints

__all__ = ["Coding"]

_INSTALLED = ("site-packages", "dist-packages")


class Coding:
    """The code of functions, as seen from the project that consists of `modules`."""

    def __init__(self, modules: list[ModuleType]) -> None:
        self._roots = tuple(dict.fromkeys(_root(module) for module in modules if getattr(module, "__file__", None)))
        self._names = {module.__name__.partition(".")[0] for module in modules}
        self._known: dict[str, bool] = {}
        self._distributions: dict[str, list[str]] | None = None
        self._prints = CodePrints(local=self._is_local, versions=self._version)

    def of(self, function: Any) -> Code:
        """The digest and the parts of a function. Raises `NoFunction`."""
        made = self._prints.of(function)
        return Code(made.digest, made.parts)

    def _is_local(self, module: str) -> bool:
        top = module.partition(".")[0]
        found = self._known.get(top)
        if found is None:
            found = self._known[top] = top in self._names or self._is_beside(top)
        return found

    def _is_beside(self, top: str) -> bool:
        """Whether a module that the project did not name is one of its own files all the same."""
        if top in sys.stdlib_module_names or top == "tidemill":
            return False
        try:
            spec = find_spec(top)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
        return any(_within(Path(place), root) for place in places if place for root in self._roots)

    def _version(self, package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
        if self._distributions is None:
            self._distributions = dict(metadata.packages_distributions())  # slow, and only needed for packages with two names
        names = self._distributions.get(package)
        if names:
            return metadata.version(names[0])
        version = getattr(sys.modules.get(package), "__version__", None)
        return version if isinstance(version, str) else None


def _root(module: ModuleType) -> Path:
    """The folder from which a module is imported by its full name."""
    file = Path(str(module.__file__)).resolve()
    depth = module.__name__.count(".") + (1 if file.name == "__init__.py" else 0)
    return file.parents[depth]


def _within(place: Path, root: Path) -> bool:
    resolved = place.resolve()
    return resolved.is_relative_to(root) and not any(part in _INSTALLED for part in resolved.relative_to(root).parts)
