"""What travels between the control process, the supervisor and the workers, as plain tagged values.

Knows no sockets: `frames` carries these, both sides act on them.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from tidemill.authoring.assets.entries import AssetEntry
from tidemill.errors import ProblemReport
from tidemill.graph.nodes import Graph
from tidemill.graph.values import Expr, Handle
from tidemill.graph.work import Answer, CallMade, Failure, Job, Note, Outcome, Question, Start

Role: TypeAlias = Literal["warm", "fresh", "builder", "threads", "loop"]
# warm: attempts one after another. fresh: the same, for one attempt. builder: graphs and questions.
# threads: thread tasks and the drivers of dynamic flows. loop: async tasks.


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the far side must know of the project. The first message to a supervisor, and to a spawned worker."""

    project: str  # a folder, a file, or the dotted name of a module
    home: str  # the state folder: logs go to <home>/logs
    artifacts: str  # the place of values
    environment: str = "default"
    settings: dict[str, Any] = {}  # of resources, for this environment
    modules: tuple[str, ...] = ()  # dotted names; when given, `project` is only the folder that they are found from
    lease: float = 15.0  # seconds that a worker may stand still
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL
    log_quota: int = 64 << 20  # bytes of log per attempt
    recycle_memory: int = 1 << 30  # bytes that a worker may have grown by before it is replaced


# ---------------------------------------------------------------- control → supervisor


class Fork(msgspec.Struct, frozen=True, array_like=True, tag="fork"):
    """Make a worker. Its socket and its pipe of tokens come along as file descriptors, in this order."""

    worker: int
    role: Role
    memory: int | None = None  # bytes it may take on top of the imported project


class Kill(msgspec.Struct, frozen=True, array_like=True, tag="kill"):
    """End a worker and all it started: SIGTERM to the group, SIGKILL after `grace` seconds."""

    worker: int
    grace: float


class Ping(msgspec.Struct, frozen=True, array_like=True, tag="ping"):
    """Are you there?"""

    n: int


class Bye(msgspec.Struct, frozen=True, array_like=True, tag="bye"):
    """End everything within `grace` seconds, then yourself."""

    grace: float


ToSupervisor: TypeAlias = Fork | Kill | Ping | Bye

# ---------------------------------------------------------------- supervisor → control


class Loaded(msgspec.Struct, frozen=True, array_like=True, tag="loaded"):
    """The project was imported, or not."""

    seconds: float
    problem: ProblemReport | None = None
    unforkable: str = ""  # why workers are started afresh instead of forked


class Forked(msgspec.Struct, frozen=True, array_like=True, tag="forked"):
    """That worker is this process now."""

    worker: int
    pid: int


class Exited(msgspec.Struct, frozen=True, array_like=True, tag="exited"):
    """A worker is gone, and all it had started with it."""

    worker: int
    code: int | None = None
    signal: int | None = None
    core: bool = False
    cpu: float = 0.0
    memory: int = 0  # peak bytes
    why: Literal["", "killed", "memory", "lease", "unstarted"] = ""  # what we did to it, if anything
    detail: str = ""


class Pong(msgspec.Struct, frozen=True, array_like=True, tag="pong"):
    """The answer to the ping of that number."""

    n: int


FromSupervisor: TypeAlias = Loaded | Forked | Exited | Pong

# ---------------------------------------------------------------- control → worker


class Define(msgspec.Struct, frozen=True, array_like=True, tag="define"):
    """From now on `index` stands for this job."""

    index: int
    job: Job


class Do(msgspec.Struct, frozen=True, array_like=True, tag="do"):
    """Run these, in order. A sequential worker takes one token from its pipe before each."""

    index: int
    starts: list[Start]


class Revoke(msgspec.Struct, frozen=True, array_like=True, tag="revoke"):
    """The tokens of the last `count` starts were taken back: drop these and say so."""

    count: int


class Stop(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """End one attempt of a worker that runs several."""

    index: int
    n: int
    attempt: int
    cause: Literal["cancelled", "timeout"]


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A question about values."""

    question: Question


class Reply(msgspec.Struct, frozen=True, array_like=True, tag="reply"):
    """How the call that a driver made ended."""

    index: int
    node: str
    result: Expr | None
    failure: Failure | None


class Build(msgspec.Struct, frozen=True, array_like=True, tag="build"):
    """The graph of a flow for these parameters, as they came from the command line or a caller.

    `shown` are the versions of assets that it may read.
    """

    id: int
    flow: str | None
    raw: dict[str, Any]
    shown: dict[str, Handle] = {}


class BuildAssets(msgspec.Struct, frozen=True, array_like=True, tag="build assets"):
    """The graph that makes a version of each target; what else these read is in `shown`. See `assets.assemble`."""

    id: int
    targets: list[str]
    shown: dict[str, Handle]
    forced: dict[str, str]
    params: dict[str, Any]


class List(msgspec.Struct, frozen=True, array_like=True, tag="list"):
    """The catalog of assets, for runs with these parameters."""

    id: int
    params: dict[str, Any]


class Describe(msgspec.Struct, frozen=True, array_like=True, tag="describe"):
    """What the project defines."""

    id: int


class Forget(msgspec.Struct, frozen=True, array_like=True, tag="forget"):
    """These jobs will not come again."""

    indexes: list[int]


ToWorker: TypeAlias = Define | Do | Revoke | Stop | Ask | Reply | Build | BuildAssets | List | Describe | Forget

# ---------------------------------------------------------------- worker → control


class Did(msgspec.Struct, frozen=True, array_like=True, tag="did"):
    """Attempts of a job that ended."""

    index: int
    outcomes: list[Outcome]


class Revoked(msgspec.Struct, frozen=True, array_like=True, tag="revoked"):
    """The queue is as after `Revoke`: new work may come."""


class Told(msgspec.Struct, frozen=True, array_like=True, tag="told"):
    """Something that code said, or asked for, while it runs."""

    report: Note | Answer | CallMade


class Built(msgspec.Struct, frozen=True, array_like=True, tag="built"):
    """What became of a `Build`."""

    id: int
    graph: Graph | None = None
    place: str = ""
    problem: ProblemReport | None = None


class Described(msgspec.Struct, frozen=True, array_like=True, tag="described"):
    """What became of a `Describe`."""

    id: int
    definitions: dict[str, Any] = {}
    problem: ProblemReport | None = None


class Listed(msgspec.Struct, frozen=True, array_like=True, tag="listed"):
    """What became of a `List`."""

    id: int
    entries: list[AssetEntry] = []
    problem: ProblemReport | None = None


class Tired(msgspec.Struct, frozen=True, array_like=True, tag="tired"):
    """This worker has grown: it should be replaced once it is idle."""

    memory: int


FromWorker: TypeAlias = Did | Revoked | Told | Built | Described | Listed | Tired
