"""What a watch sees of the project's code and files."""

from __future__ import annotations

import sys
import threading

import pytest

from tidemill.fingerprint import CodePrint, seen

SEES_CODE = hasattr(sys, "monitoring")
needs_monitoring = pytest.mark.skipif(not SEES_CODE, reason="Python before 3.12 has no sys.monitoring")


def local(name):
    return name.startswith("shop")


@pytest.fixture
def plugins(shop):
    shop.write(
        one="def run(plugin):\n    return sum(plugin.work(n) for n in (1, 2))\ndef never():\n    return 1\n",
        two="class Plugin:\n    def work(self, n):\n        return [one for one in [n]][0] + helper()\ndef helper():\n    return 1\n",
    )
    return shop


@needs_monitoring
def test_code_that_ran_and_is_in_no_part_is_named(plugins):
    run, plugin = plugins.take("one.run"), plugins.take("two.Plugin")()
    made = plugins.prints.of(run)
    for _ in range(2):  # what ran before is seen again
        with seen() as trace:
            run(plugin)
        assert trace.functions(local) == ["shop.one.run", "shop.two.Plugin.work", "shop.two.helper"]
        assert trace.unseen(made, local=local) == ["shop.two.Plugin.work", "shop.two.helper"]


@needs_monitoring
def test_a_watch_within_a_watch_sees_its_own_part(plugins):
    run, plugin = plugins.take("one.run"), plugins.take("two.Plugin")()
    with seen() as outer:
        run(plugin)
        with seen() as inner:
            plugins.take("one.never")()
        run(plugin)
    assert inner.functions(local) == ["shop.one.never"]
    assert outer.functions(local) == ["shop.one.never", "shop.one.run", "shop.two.Plugin.work", "shop.two.helper"]
    assert all(sys.monitoring.get_tool(number) != "tidemill" for number in range(6))


@needs_monitoring
def test_other_threads_are_seen_and_nothing_after_the_end(plugins):
    run, plugin = plugins.take("one.run"), plugins.take("two.Plugin")()
    with seen() as trace:
        thread = threading.Thread(target=run, args=(plugin,))
        thread.start()
        thread.join()
    plugins.take("one.never")()
    assert trace.functions(local) == ["shop.one.run", "shop.two.Plugin.work", "shop.two.helper"]


@needs_monitoring
def test_a_module_loaded_while_running_is_seen(plugins):
    with seen() as trace:
        plugins.take("one.never")
    assert "shop.one" in trace.functions(local)


def test_a_class_that_is_a_part_covers_its_methods():
    from tidemill.fingerprint.trace import Trace

    class Known(Trace):
        def functions(self, local):
            return ["shop.two.Plugin.work", "shop.two", "shop.one.run"]

    made = CodePrint("shop.two.Plugin", "shop.two", "1", {"shop.two.Plugin": "code:1"})
    assert Known(watches_code=True).unseen(made, local=local) == ["shop.one.run"]


def test_files_that_are_read_are_seen_and_those_written_are_not(tmp_path):
    (tmp_path / "rates.csv").write_text("a")
    with seen() as trace:
        (tmp_path / "rates.csv").read_text()
        (tmp_path / "out.csv").write_text("b")
    (tmp_path / "out.csv").read_text()
    assert trace.files(lambda path: path.startswith(str(tmp_path))) == [str(tmp_path / "rates.csv")]


def test_a_watch_says_whether_it_can_see_code():
    with seen() as trace:
        assert trace.watches_code is SEES_CODE
