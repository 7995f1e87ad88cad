from __future__ import annotations

import re

from tidemill.executors.output.logfiles import Attribution, LogFile
from tidemill.executors.output.marks import BEGIN, announcement, mark, records, secret

TOKEN = b"0123456789ab"


def begin(index=1, n=0, attempt=1):
    return mark(TOKEN, BEGIN, b"%d %d %d" % (index, n, attempt))


def written(home):
    """File name → its lines without their times."""
    return {
        path.name: [re.sub(r"^\S+Z ", "", line) for line in path.read_text(errors="surrogateescape").splitlines()]
        for path in sorted(home.glob("logs/*/*.log"))
    }


def fed(home, *pieces, quota=1 << 20):
    log = Attribution(home, TOKEN, quota)
    log.feed(announcement(TOKEN, 1, "run", "load"))
    for piece in pieces:
        log.feed(piece)
    log.close()
    return written(home)


def test_output_goes_to_the_attempt_that_began_last(tmp_path):
    files = fed(tmp_path, begin(), b"one\ntw", b"o\n", begin(n=1), b"three", begin(n=2))
    assert files == {"load.0.1.log": ["out one", "out two"], "load.1.1.log": ["out three"]}


def test_records_have_their_label_and_may_name_their_attempt(tmp_path):
    files = fed(tmp_path, begin(), b"raw\n", *records(TOKEN, None, "err", b"a\nb\n"), *records(TOKEN, (1, 5, 2), "INFO", b"x"))
    assert files == {"load.0.1.log": ["out raw", "err a", "err b"], "load.5.2.log": ["INFO x"]}


def test_what_is_printed_outside_of_attempts_is_nobodys(tmp_path):
    assert fed(tmp_path, b"starting up\n") == {}


def test_a_secret_is_masked_also_where_writes_cut_it(tmp_path):
    files = fed(tmp_path, secret(TOKEN, b"open sesame"), begin(), b"say open", b" sesame\n", *records(TOKEN, None, "err", b"open sesame!"))
    assert files == {"load.0.1.log": ["out say ***", "err ***!"]}


def test_an_unfinished_line_is_written_in_time_but_not_the_beginning_of_a_secret(tmp_path):
    log = Attribution(tmp_path, TOKEN, 1 << 20)
    for piece in (announcement(TOKEN, 1, "run", "load"), secret(TOKEN, b"open sesame"), begin(), b"working open s"):
        log.feed(piece)
    assert log.unfinished is not None
    log.flush(whole=False)
    assert written(tmp_path) == {"load.0.1.log": ["out working "]}
    log.feed(b"esame\n")
    log.close()
    assert written(tmp_path) == {"load.0.1.log": ["out working ", "out ***"]}


def test_beyond_the_quota_the_head_is_kept_and_the_rest_counted(tmp_path):
    lines = b"".join(b"%04d\n" % n for n in range(1000))
    (found,) = fed(tmp_path, begin(), lines, lines, quota=2000).values()
    assert found[0] == "out 0000"
    gaps = [line for line in found if line.startswith("gap")]
    assert "quota of 2000 bytes" in gaps[0]
    missing = int(re.search(r"gap (\d+) bytes are missing", gaps[1])[1])
    size = len(re.sub(r"^", "", "2026-01-01T00:00:00.000Z out 0000\n"))
    assert missing == 2000 * size - (len(found) - 2) * size


def test_what_the_disk_does_not_take_is_a_gap_and_the_task_goes_on(tmp_path):
    folder = tmp_path / "run"
    folder.write_text("a file where the folder should be")
    log = LogFile(folder / "load.0.1.log", 1000)
    log.write(b"lost\n", b"T")
    folder.unlink()
    log.write(b"kept\n", b"T")
    log.close(b"T")
    assert (folder / "load.0.1.log").read_bytes() == b"T gap 5 bytes could not be written\nkept\n"
