"""Tasks that do every bad thing."""

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tidemill import Resource, flow, run, secret, task


class Shop(Resource):
    token: str = secret("SHOP_TOKEN")
    folder: str = ""

    def start(self) -> None:
        if self.folder == "broken":
            raise ValueError("no such shop")

    def close(self) -> None:
        if self.folder:
            (Path(self.folder) / "closed").write_text("closed")


shop = Shop()


@task
def same(x):
    return x


@task
def who(x=None):
    return os.getpid()


@task
def raises():
    raise KeyError("nothing of the kind")


@task
def interrupts():
    raise KeyboardInterrupt


@task
def exits(code):
    sys.exit(code)


@task
def hard_exit(code):
    os._exit(code)


@task
def crashes():
    ctypes.string_at(0)


@task
def kills_itself():
    os.kill(os.getpid(), signal.SIGKILL)


@task
def recurses():
    return recurses.function()


@task
def unpicklable():
    return threading.Lock()


@task
def hog(size):
    held = [bytearray(os.urandom(1)) * (1 << 20) for _ in range(size // (1 << 20))]
    return len(held)


@task
def hog_at_once(size):
    return len(bytearray(size))


@task
def hangs(sign=""):
    if sign:
        Path(sign).write_text(str(os.getpid()))
    time.sleep(1000)


@task
def cleans_up(sign):
    try:
        Path(sign).write_text(str(os.getpid()))
        time.sleep(1000)
    finally:
        Path(sign + ".cleaned").write_text("cleaned")


@task
def ignores_sigterm(sign):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(sign).write_text(str(os.getpid()))
    time.sleep(1000)


@task
def has_children(sign):
    plain = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    apart = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
    Path(sign + ".tmp").write_text(f"{plain.pid} {apart.pid}")
    Path(sign + ".tmp").rename(sign)
    time.sleep(1000)


@task
def waits_for(x, sign):
    if x == 0:
        Path(sign).write_text("begun")
        Path(sign + ".go").read_bytes()  # a pipe: it waits for its writer
    return x


@task
def talks():
    print("from print")
    print("from stderr", file=sys.stderr)
    logging.getLogger("shop").info("from logging")
    os.write(1, b"from the descriptor\n")
    subprocess.run(["echo", "from a child"], check=True)
    print("unfinished", end="")


@task
def silent():
    return None


@task
def prints_bytes():
    os.write(1, b"a\x00b\xff\xfe\x1b]0;title\x07\n")


@task
def floods(size):
    line = b"x" * 99 + b"\n"
    block = line * 1000
    for _ in range(size // len(block)):
        os.write(1, block)


@task
def long_line(size):
    os.write(1, b"y" * size)


@task
def leaks(shop):
    token = shop.token
    print("the token is", token)
    os.write(1, b"split " + token[:5].encode())
    os.write(1, token[5:].encode() + b" end\n")
    subprocess.run(["echo", token], check=True)
    logging.getLogger().warning("log %s", token)
    raise ValueError(f"bad token {token}")


@task
def shown(shop):
    return f"<{shop.token}>"


@task
def notes():
    run.metric("auc", 0.5)
    run.progress(0.25)
    run.link("https://example.com", title="there")
    run.report("# done", title="all")
    return [run.id, run.attempt, run.idempotency_key]


@task(executor="async")
async def naps(x):
    print("nap", x)
    await asyncio.sleep(0)
    return x


@task(executor="async")
async def naps_for_ever(sign):
    await asyncio.to_thread(Path(sign).write_text, "begun")
    await asyncio.sleep(1000)


@task(executor="thread")
def threaded(x):
    print("thread", x)
    return threading.current_thread() is threading.main_thread()


@task(retries=1, backoff=lambda attempt, error: 7.5)
def asks_for_a_wait():
    raise ValueError("later")


@flow
def small(a: int = 1):
    return same(same(a))


@flow
def explodes():
    raise RuntimeError("the body fails")


@flow(dynamic=True)
def grows(n: int):
    found = 0
    for i in range(n):
        found += same(i)
    try:
        raises()
    except KeyError:
        found += 100
    return found
