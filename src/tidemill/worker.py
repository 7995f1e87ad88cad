"""The composition root of the far side: `python -m tidemill.worker`. Joins authoring, artifacts and executors.

Imported by every supervisor before the project is, so it imports little.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from tidemill.artifacts.location import Location, open_location
from tidemill.artifacts.store import Artifacts
from tidemill.authoring.masking import Masker
from tidemill.authoring.resources.secret import Secrets, use_secrets
from tidemill.errors import Problem
from tidemill.executors.far import kinship
from tidemill.executors.far.attempts import Stopped, Toolbox
from tidemill.executors.far.importing import import_project
from tidemill.executors.far.limits import limit_memory
from tidemill.executors.far.project import Project
from tidemill.executors.far.sequential import Sequential
from tidemill.executors.far.supervisor import Entry, Supervisor
from tidemill.executors.frames import Unframer, Wire, decoder_of, frame
from tidemill.executors.output.capture import Capture
from tidemill.executors.protocol import Loaded, Spec, Told, ToWorker


def main(words: list[str]) -> None:
    """Be a supervisor (`FD PARENT DUMP`), or a worker of one that must not fork (`--child …`)."""
    if words[0] == "--child":
        _spawned(words[1:])
    else:
        _supervise(int(words[0]), int(words[1]), words[2])


def _supervise(fd: int, parent: int, dump: str) -> None:
    if parent:
        kinship.die_with_parent(signal.SIGTERM, parent=parent)
    control = socket.socket(fileno=fd)
    with Path(dump).open("w") as dumps:
        # Kept open: a signal makes the interpreter write there where each thread stands, even inside C code.
        faulthandler.register(signal.SIGUSR1, file=dumps, all_threads=True, chain=False)
        spec = _first(control)
        began = time.monotonic()
        try:
            modules = import_project(spec.project, spec.modules)
        except Problem as problem:
            control.sendall(frame(Loaded(time.monotonic() - began, problem.report())))
            return
        decoder_of(ToWorker)
        if "://" not in spec.artifacts:
            _open(spec)  # what it imports, each worker has then; the location itself each opens for itself
        unforkable = _look_for_fork_trouble()
        control.sendall(frame(Loaded(time.monotonic() - began, None, unforkable)))
        Supervisor(spec, control, enter=lambda entry: _work(entry, modules), unforkable=unforkable).serve()


def _first(control: socket.socket) -> Spec:
    """The spec, and not a byte more: what follows belongs to the supervisor."""
    size = int.from_bytes(_exactly(control, 4), "big")
    return Unframer[Spec](Spec).feed(size.to_bytes(4, "big") + _exactly(control, size))[0]


def _exactly(control: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = control.recv(size - len(data))
        if not more:
            raise SystemExit(0)
        data += more
    return data


def _look_for_fork_trouble() -> str:
    """Why this process should not be forked, once the project is imported; "" when it may be."""
    for name in ("jax", "grpc", "tensorflow"):
        if name in sys.modules:
            return f"{name} is imported, and does not survive a fork"
    cuda = sys.modules.get("torch.cuda")
    if cuda is not None and cuda.is_initialized():
        return "torch.cuda is initialised, and does not survive a fork"
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    return f"importing the project started threads: {', '.join(others[:3])}" if others else ""


def _spawned(words: list[str]) -> None:
    role, spec_fd, sock_fd, tokens, out, mark, memory = words
    with os.fdopen(int(spec_fd), "rb") as source:
        spec = Unframer[Spec](Spec).feed(source.read())[0]
    kinship.die_with_parent(signal.SIGKILL, parent=os.getppid())
    sock = socket.socket(fileno=int(sock_fd))
    modules = import_project(spec.project, spec.modules)
    _work(Entry(spec, role, sock, int(tokens), int(out), mark.encode(), int(memory) or None), modules)  # type: ignore[arg-type]


# ---------------------------------------------------------------- one worker


def _work(entry: Entry, modules: list[ModuleType]) -> None:
    """Be the worker that `entry` describes, until its socket is closed."""
    spec = entry.spec
    several = entry.role in ("threads", "loop", "builder")
    capture = Capture(entry.out, entry.mark, several=several)
    capture.install()
    wire: Wire[ToWorker] = Wire(entry.sock, ToWorker)
    masker = Masker()

    def heard(value: str) -> None:
        masker.add(value)
        capture.hide(value)

    use_secrets(Secrets(os.environ, _folder(spec.project), told=heard))
    artifacts = Artifacts(_open(spec), mask=masker.text)
    project = Project(modules, spec.settings)
    tools = Toolbox(artifacts, masker, resource=project.resource, tell=lambda note: wire.send(Told(note)), limited=entry.memory is not None)
    if entry.memory is not None:
        limit_memory(entry.memory)
    _stop_gently()
    code = 0
    try:
        _serve(entry, wire, tools, capture, project)
    except Stopped:
        code = 128 + signal.SIGTERM
    except (BrokenPipeError, ConnectionResetError):
        pass  # the control process is gone: nobody is left to work for
    with contextlib.suppress(Stopped):
        project.close()
        capture.end()
    raise SystemExit(code)


def _folder(project: str) -> Path:
    """Where the project's `.env` would be."""
    path = Path(project)
    return path if path.is_dir() else path.parent if path.is_file() else Path.cwd()


def _open(spec: Spec) -> Location:
    return open_location(spec.artifacts, cache=Path(spec.home) / "cache", clock=lambda: datetime.now(UTC))


def _serve(entry: Entry, wire: Wire[ToWorker], tools: Toolbox, capture: Capture, project: Project) -> None:
    # Each role imports what it alone needs: a warm worker has no use for flows, nor a builder for threads.
    if entry.role == "builder":
        from tidemill.executors.far.builder import Builder

        Builder(wire, tools, project).serve()
    elif entry.role in ("threads", "loop"):
        from tidemill.executors.far.several import Crowd, Loop

        def drive(flow: Any, values: Any, **given: Any) -> Any:
            from tidemill.authoring.dynamic import run_driver  # lazily: only drivers need it

            return run_driver(flow, values, resources=project.resources, **given)

        if entry.role == "threads":
            crowd = Crowd(wire, tools, capture, run_driver=drive)
        else:
            crowd = Loop(wire, tools, capture, run_driver=drive, grace=entry.spec.grace)
        tools.tell = lambda note: crowd.send(Told(note))
        crowd.serve()
    else:
        Sequential(wire, entry.tokens, tools, capture, growth=entry.spec.recycle_memory, once=entry.role == "fresh").serve()


def _stop_gently() -> None:
    """SIGTERM raises in the main thread, so that `finally` blocks of user code run; a second one changes nothing."""
    own = os.getpid()

    def stop(signum: int, _frame: Any) -> None:
        signal.signal(signum, signal.SIG_IGN if os.getpid() == own else signal.SIG_DFL)
        if os.getpid() != own:  # a process that user code forked: it ends as any other would
            os.kill(os.getpid(), signum)
            return
        raise Stopped

    signal.signal(signal.SIGTERM, stop)


if __name__ == "__main__":
    main(sys.argv[1:])
