"""The public names are few, sorted, real, and explained."""

from __future__ import annotations

from source import ROOT

import tidemill


def documented() -> str:
    pages = [ROOT / "docs" / "words.md", *sorted((ROOT / "docs" / "reference").glob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def test_the_public_names_are_sorted() -> None:
    assert list(tidemill.__all__) == sorted(tidemill.__all__)


def test_every_public_name_can_be_had() -> None:
    assert not [name for name in tidemill.__all__ if getattr(tidemill, name, None) is None]


def test_every_public_name_is_in_the_words_or_the_reference() -> None:
    text = documented()
    assert not [name for name in tidemill.__all__ if not name.startswith("__") and f"`{name}" not in text]


def test_every_public_function_and_class_has_a_docstring() -> None:
    values = {name: getattr(tidemill, name) for name in tidemill.__all__}
    assert not [name for name, value in values.items() if callable(value) and not value.__doc__]
