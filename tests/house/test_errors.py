"""Every error that a user can meet has a code, a meaning and a line in the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

from source import ROOT, modules

from tidemill.errors import Problem


def problems() -> list[type[Problem]]:
    modules()  # a class exists once its module is imported
    found, queue = [], [Problem]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        found += [kind] if kind.__module__.startswith("tidemill.") else []
    return found


def test_every_code_is_a_kebab_case_word_of_one_class() -> None:
    codes = Counter(kind.code for kind in problems())
    assert not {code: n for code, n in codes.items() if n > 1}
    assert not [code for code in codes if not re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", code)]


def test_every_error_says_what_it_means() -> None:
    assert not [kind.__qualname__ for kind in problems() if not kind.__dict__.get("__doc__")]


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
