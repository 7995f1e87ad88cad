"""What one step of a run changes, stored whole: the fence, the rows, the log. The hot path.

The fence is one UPDATE per commit that meets its run only if the epoch and the end of the log are as expected. The
end is remembered here, so that an ordinary commit reads nothing; where memory and log differ, the log is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from tidemill.ports import Commit
from tidemill.store.chain import Chained, Head, extend
from tidemill.store.databases.connect import Session
from tidemill.store.databases.tables import runs as table
from tidemill.store.problems import OutOfStep
from tidemill.store.sql import memo, refs, runs, tasks
from tidemill.store.sql.events import EVENTS, OF_RUN

_END = select(table.c.epoch, table.c.n, table.c.chain).where(table.c.id == bindparam("run"))


class Stored(NamedTuple):
    """What became of commits: the runs whose epoch was not current, and the ends of the logs now."""

    refused: list[str]
    heads: dict[str, Head]


def write(session: Session, commits: Sequence[Commit], heads: dict[str, Head]) -> Stored:
    """Store `commits`. `heads` are the ends of logs as far as they are known; they are not changed here."""
    moved: dict[str, Head] = {}
    entries: list[tuple[Any, ...]] = []
    good: list[Commit] = []
    refused: list[str] = []
    unsure: set[str] = set()
    sure: list[tuple[Commit, Chained]] = []
    asked = []
    for commit in commits:
        chained = _expected(commit, moved, heads, unsure)
        if chained is not None:
            moved[commit.run] = chained.head
            sure.append((commit, chained))
            asked.append(_fence(commit, chained, len(commit.events)))
    for (commit, chained), count in zip(sure, session.each(asked), strict=True):
        if count == 1:
            good.append(commit)
            entries += chained.rows
        elif commit.run not in unsure:
            unsure.add(commit.run)
            moved.pop(commit.run, None)
    done = {id(commit) for commit in good}
    for commit in commits:
        if id(commit) not in done:
            chained = _carefully(session, commit, refused)
            if chained is not None:
                moved[commit.run] = chained.head
                good.append(commit)
                entries += chained.rows
    _put(session, good, entries)
    return Stored(list(dict.fromkeys(refused)), moved)


def _expected(commit: Commit, moved: dict[str, Head], heads: dict[str, Head], unsure: set[str]) -> Chained | None:
    """The commit's entries after the end of the log as it is remembered, or None when they do not follow it."""
    head = moved.get(commit.run) or heads.get(commit.run)
    if head is None or commit.run in unsure or (commit.events and commit.events[0].n != head.n + 1):
        unsure.add(commit.run)
        return None
    return extend(head, commit.run, commit.events)


def _fence(commit: Commit, chained: Chained, more: int) -> tuple[Any, dict[str, Any]]:
    statement, values = runs.fence(commit.change)
    n, chain = chained.head
    return statement, {"run": commit.run, "epoch": commit.epoch, "last": n - more, "new_n": n, "new_chain": chain, **values}


def _carefully(session: Session, commit: Commit, refused: list[str]) -> Chained | None:
    """The commit after the end that the log really has; None when it is not to be stored (again)."""
    found = session.rows(_END, run=commit.run)
    if not found:
        refused.append(commit.run)
        return None
    epoch, n, chain = found[0]
    if commit.events and commit.events[0].n <= n and _is_there(session, commit):
        return None
    if epoch != commit.epoch:
        refused.append(commit.run)
        return None
    if commit.events and commit.events[0].n != n + 1:
        raise OutOfStep(commit.run, last=n, given=commit.events[0].n)
    chained = extend(Head(n, chain), commit.run, commit.events)
    if session.each([_fence(commit, chained, len(commit.events))]) != [1]:
        refused.append(commit.run)  # another engine took the run up in between
        return None
    return chained


def _is_there(session: Session, commit: Commit) -> bool:
    """Whether exactly these entries are in the log: then the whole commit is, and only its answer was lost."""
    first = commit.events[0].n
    there = session.rows(OF_RUN, run=commit.run, after=first - 1, most=len(commit.events))
    given = [(entry.run, entry.n, entry.kind, entry.at, bytes(entry.body)) for entry in commit.events]
    return [(run, n, kind, at, bytes(body)) for run, n, kind, at, body, _, _ in there] == given


def _put(session: Session, good: list[Commit], entries: list[tuple[Any, ...]]) -> None:
    if rows := [tasks.values(row) for commit in good for row in commit.tasks]:
        session.put(tasks.TASKS, rows)
    if rows := [tasks.attempt_values(row) for commit in good for row in commit.attempts]:
        session.put(tasks.ATTEMPTS, rows)
    if rows := [tasks.note_values(row) for commit in good for row in commit.notes]:
        session.put(tasks.NOTES, rows)
    if rows := [memo.values(row) for commit in good for row in commit.memos]:
        # In the order of keys, so that two engines wait for each other instead of locking each other out.
        session.put(memo.MEMOS, sorted(rows, key=lambda row: row[0]))
    if moved := [ref for commit in good for ref in commit.refs]:
        refs.move(session, moved)
    if entries:
        session.in_order()
        session.put(EVENTS, entries)
