"""What changed between two fingerprints of a function, in words. Computes nothing anew."""

from __future__ import annotations

import ast

from tidemill.fingerprint.prints import CodePrint

__all__ = ["difference"]

_PACKAGE = "package "


def difference(old: CodePrint, new: CodePrint) -> list[str]:
    """The reasons why `new` is not `old`, each a short phrase; none if their digests are equal."""
    if old.digest == new.digest:
        return []
    reasons: list[str] = []
    if old.name != new.name:
        reasons.append(f"{old.name} is now {new.name}")
    changed = [part for part, digest in new.parts.items() if old.parts.get(part, digest) != digest]
    telling = [part for part in changed if not part.startswith(_PACKAGE) and _text(old, part) != _text(new, part)]
    reasons += [_changed(old, new, part) for part in telling]
    added = [part for part in new.parts if part not in old.parts]
    gone = [part for part in old.parts if part not in new.parts]
    reasons += [_reached(new, part) for part in _outermost(new, added)]
    reasons += [_lost(old, new, part) for part in _outermost(old, gone)]
    reasons += [f"{part} {old.parts[part]} -> {new.parts[part]}" for part in changed if part.startswith(_PACKAGE)]
    # Code whose text is as before can still mean something else: a name in it leads elsewhere.
    reasons += [_elsewhere(old, new, part) for part in changed if not part.startswith(_PACKAGE) and part not in telling]
    return reasons or ["how fingerprints are made has changed"]


def _text(made: CodePrint, part: str) -> str:
    return made.sources.get(part, "")


def _changed(old: CodePrint, new: CodePrint, part: str) -> str:
    name = _short(new, part)
    if new.parts[part].startswith("code:") or part.endswith("()"):
        return f"code of {name} changed" if not part.endswith("()") else f"what {name.removesuffix('()')} is called with changed"
    before, after = _value(_text(old, part)), _value(_text(new, part))
    return f"{name} changed from {before} to {after}" if before and after else f"{name} changed"


def _value(source: str) -> str:
    """The right side of `NAME = value`, or the value itself, when it is short enough to be shown."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return ""
    if len(body) != 1:
        return ""
    given = getattr(body[0], "value", None)
    text = ast.unparse(given) if given is not None else ""
    return text if len(text) <= 60 and "\n" not in text else ""


def _short(made: CodePrint, part: str) -> str:
    """A part's name as people say it: without the function's own module, and of other modules with their last name only."""
    if part.startswith(f"{made.module}."):
        return part.removeprefix(f"{made.module}.")
    head, bracket, tail = part.partition("[")
    return ".".join(head.split(".")[-2:]) + bracket + tail


def _outermost(made: CodePrint, parts: list[str]) -> list[str]:
    """Of parts that came or went together, those that others reach: a class without its methods, and not what is behind them."""
    chosen = set(parts)
    users = _users(made)
    reached = [part for part in parts if part.startswith(_PACKAGE) or not users.get(part) or users[part] - chosen]
    return reached or parts


def _users(made: CodePrint) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for part, targets in made.uses.items():
        for target in targets:
            if target != part:
                found.setdefault(target, set()).add(part)
    return found


def _user(made: CodePrint, part: str, gone: CodePrint | None = None) -> str:
    users = _users(made).get(part, set())
    still = {one for one in users if gone is None or one in gone.parts} or users
    return _short(made, made.name if made.name in still or not still else min(still))


def _reached(new: CodePrint, part: str) -> str:
    user = _user(new, part)
    if part.startswith(_PACKAGE):
        return f"{user} now uses {part} {new.parts[part]}"
    return f"{user} now {'calls' if new.parts[part].startswith('code:') else 'reads'} {_short(new, part)}"


def _lost(old: CodePrint, new: CodePrint, part: str) -> str:
    user = _user(old, part, new)
    if part.startswith(_PACKAGE):
        return f"{user} no longer uses {part}"
    return f"{user} no longer {'calls' if old.parts[part].startswith('code:') else 'reads'} {_short(old, part)}"


def _elsewhere(old: CodePrint, new: CodePrint, part: str) -> str:
    before, after = set(old.uses.get(part, ())), set(new.uses.get(part, ()))
    name = _short(new, part)
    if before == after:
        return f"code of {name} changed"
    came, went = ", ".join(sorted(after - before)), ", ".join(sorted(before - after))
    if came and went:
        return f"{name} now uses {came} instead of {went}"
    return f"{name} now uses {came}" if came else f"{name} no longer uses {went}"
