"""What changes a fingerprint, what does not, and what is said of it."""

from __future__ import annotations

import functools

import pytest

from tidemill import task
from tidemill.fingerprint import CodePrint, NoFunction, difference, fingerprint

HELPERS = """
    from dataclasses import dataclass, field

    RATE = 0.2
    LIMITS = {"low": 1}
    LIMITS["high"] = 9
    HANDLERS = {}

    def handler(function):
        HANDLERS[function.__name__] = function
        return function

    @handler
    def plain(row):
        return row + 1

    def handle(name, row):
        return HANDLERS[name](row)

    def deep(row):
        return row - 1

    def clean(row):
        return [deep(one) for one in row if (lambda x: x * RATE)(one) < LIMITS["high"]]

    class Base:
        kind = "base"
        def name(self):
            return self.kind

    @dataclass
    class Order(Base):
        id: int
        tags: list = field(default_factory=list)
        def total(self):
            return deep(self.id)

    def twice(function):
        def wrapper(*given):
            return function(*given) * 2
        return wrapper

    @twice
    def doubled(row):
        return row

    def never(row):
        return row
"""
ORDERS = '''
    """Orders."""
    import functools
    import msgspec
    from numpy import array
    from shop import wash, helpers
    from . import helpers as h

    def orders(rows, *, limit=3):
        """Clean them."""
        # of everything
        kept = wash(rows)
        return kept[:limit]

    def made(order: "h.Order") -> int:
        return order.total()

    def handled(row):
        return helpers.handle("plain", row)

    def doubling(row):
        return helpers.doubled(row)

    def late(row):
        from shop.slow import work
        return work(row)

    def packed(row):
        return msgspec.json.encode(row)

    def scaled(rate):
        def inner(row):
            return row * rate
        return inner

    tenth, fifth = scaled(0.1), scaled(0.2)
    first, second = (lambda row: row + 1), (lambda row: row + 2)
    many = [lambda row, step=step: row + step for step in range(3)]
    some = functools.partial(orders, limit=4)
'''


@pytest.fixture
def orders(shop):
    shop.write(
        init="from shop.helpers import clean as wash\n",
        helpers=HELPERS,
        orders=ORDERS,
        slow="from shop.helpers import RATE\ndef work(row):\n    return row * RATE\ndef other():\n    return 1\n",
    )
    return shop


CHANGES = {
    "a constant of its own": ("orders", "orders", "limit=3", "limit=4", "code of orders changed"),
    "a function that goes by another name": ("orders", "helpers", "for one in row", "for one in row[1:]", "code of helpers.clean changed"),
    "a function two levels deep, called in a comprehension": ("orders", "helpers", "row - 1", "row - 2", "code of helpers.deep changed"),
    "a value that a lambda reads": ("orders", "helpers", "RATE = 0.2", "RATE = 0.25", "helpers.RATE changed from 0.2 to 0.25"),
    "a value that is changed in place": ("orders", "helpers", '["high"] = 9', '["high"] = 8', "helpers.LIMITS changed"),
    "a method of a class in a string annotation": ("made", "helpers", "deep(self.id)", "deep(self.id) + 1", "code of Order.total changed"),
    "an attribute of its base": ("made", "helpers", 'kind = "base"', 'kind = "case"', "code of helpers.Base changed"),
    "a field's default": ("made", "helpers", "default_factory=list", "default_factory=set", "code of helpers.Order changed"),
    "a function that registers itself": ("handled", "helpers", "row + 1", "row + 2", "code of helpers.plain changed"),
    "a decorator that hides what it wraps": ("doubling", "helpers", "* 2", "* 3", "code of helpers.twice changed"),
    "what such a decorator wraps": ("doubling", "helpers", "doubled(row)", "doubled(row, by=1)", "code of helpers.doubled changed"),
    "a module imported when it is called": ("late", "slow", "row * RATE", "row / RATE", "code of slow.work changed"),
    "a value behind that module": ("late", "helpers", "RATE = 0.2", "RATE = 0.3", "helpers.RATE changed from 0.2 to 0.3"),
    "what a closure was made with": ("tenth", "orders", "scaled(0.1)", "scaled(0.15)", "scaled.inner[rate] changed from 0.1 to 0.15"),
    "what a partial brings along": ("some", "orders", "limit=4", "limit=5", "what orders is called with changed"),
    "the second of two lambdas in a line": ("second", "orders", "row + 2", "row + 3", "code of <lambda> changed"),
    "another function under the same name": ("orders", "__init__", "clean as wash", "never as wash", "orders now calls helpers.never"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_what_a_function_reaches_is_a_change_of_the_function(orders, change):
    name, module, old, new, reason = CHANGES[change]
    reasons = orders.reasons(f"orders.{name}", after=lambda: orders.edit(module, old, new))
    assert reason in reasons


SAME = {
    "a comment": ("orders", "# of everything", "# of nothing"),
    "a docstring": ("orders", '"""Clean them."""', '"""Wash\n    them."""'),
    "no docstring": ("orders", '"""Clean them."""', ""),
    "layout": ("orders", "return kept[:limit]", "return (\n        kept[ : limit]\n    )"),
    "quotes": ("helpers", '"high"] = 9', "'high'] = 9"),
    "pass": ("orders", "kept = wash(rows)", "pass\n    kept = wash(rows)"),
    "a function that is not reached": ("helpers", "def never(row):\n    return row", "def never(row):\n    return 9"),
    "an import that is not used": ("orders", "import functools", "import functools, json"),
    "another place in the file": ("orders", '"""Orders."""', '"""Orders."""\ndef new():\n    return 1\n\n'),
    "another way to write the same number": ("helpers", "RATE = 0.2", "RATE = .20"),
}


@pytest.mark.parametrize("edit", SAME)
def test_what_changes_no_behaviour_changes_no_digest(orders, edit):
    module, old, new = SAME[edit]
    for name in ("orders", "made", "tenth"):
        assert orders.reasons(f"orders.{name}", after=lambda: orders.edit(module, old, new)) == []
        orders.edit(module, new, old) if new else orders.edit(module, "kept = wash", '"""Clean them."""\n    kept = wash')


def test_closures_of_one_function_differ_by_what_they_hold(orders):
    assert orders.of("orders.tenth").digest != orders.of("orders.fifth").digest
    assert orders.of("orders.first").digest != orders.of("orders.second").digest
    assert len({orders.prints.of(one).digest for one in orders.take("orders.many")}) == 3


def test_a_package_counts_by_its_version_and_only_where_it_is_used(orders):
    assert "package msgspec" not in orders.of("orders.orders").parts
    before = orders.of("orders.packed")
    orders.versions["msgspec"] = "0.23.0"
    assert difference(before, orders.fresh().of(orders.take("orders.packed"))) == ["package msgspec 0.22.0 -> 0.23.0"]


def test_a_package_without_a_version_is_noted(orders):
    del orders.versions["msgspec"]
    made = orders.fresh().of(orders.take("orders.packed"))
    assert made.notes == ["the version of the package msgspec is not known"]


def test_the_folder_of_a_project_does_not_count(orders, tmp_path, monkeypatch):
    before = orders.of("orders.orders")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shop").rename(tmp_path / "elsewhere" / "shop")
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    orders.forget()
    assert orders.of("orders.orders") == before


def test_a_call_that_is_added_or_dropped_is_named(orders):
    added = orders.reasons("orders.orders", after=lambda: orders.edit("orders", "return kept[:limit]", "return helpers.never(kept)"))
    assert added == ["code of orders changed", "orders now calls helpers.never"]
    gone = orders.reasons("orders.orders", after=lambda: orders.edit("orders", "helpers.never(kept)", "kept"))
    assert gone == ["code of orders changed", "orders no longer calls helpers.never"]


def test_our_own_decorators_are_seen_through_and_do_not_count(shop):
    shop.write(
        jobs="from tidemill import task\nfrom shop.rows import one\n@task(retries=3)\ndef load(row):\n    return one(row)\n",
        rows="def one(row):\n    return row\n",
    )
    before = shop.of("jobs.load")
    assert set(before.parts) == {"shop.jobs.load", "shop.rows.one"}
    assert shop.reasons("jobs.load", after=lambda: shop.edit("jobs", "retries=3", "retries=4")) == []
    assert shop.reasons("jobs.load", after=lambda: shop.edit("rows", "return row", "return -row")) == ["code of rows.one changed"]


def test_methods_bring_their_class_and_bound_ones_what_their_object_holds(shop):
    shop.write(
        jobs="""
            class Job:
                def __init__(self, rate):
                    self.rate = rate
                def run(self):
                    return self.step()
                def step(self):
                    return 1
            slow, fast = Job(1), Job(2)
        """
    )
    jobs = shop.take("jobs.slow"), shop.take("jobs.fast")
    slow, fast = (shop.prints.of(job.run) for job in jobs)
    assert "shop.jobs.Job.step" in slow.parts
    assert slow.digest != fast.digest
    assert shop.prints.of(jobs[0].run) == slow


def test_names_that_only_a_run_knows_widen_to_what_they_could_be(shop):
    shop.write(
        one="""
            import shop.two, importlib
            def asks(name):
                return getattr(shop.two, name)()
            def loads(name):
                return importlib.import_module(name)
            def other():
                return 1
        """,
        two="def a():\n    return 1\n",
        three="def b():\n    return 1\ndef evaluates(text):\n    return eval(text)\n",
    )
    assert shop.of("one.asks").notes == ["all of shop.two counts: any name of it can be asked for"]
    assert shop.of("three.evaluates").notes == ["all of shop.three counts: it uses eval()"]
    assert "the whole project counts: shop.one uses importlib.import_module with a name that only a run knows" in shop.of("one.loads").notes
    assert shop.reasons("one.asks", after=lambda: shop.edit("two", "return 1", "return 2"))
    assert shop.reasons("one.loads", after=lambda: shop.edit("three", "return 1", "return 2"))
    assert shop.reasons("three.evaluates", after=lambda: shop.edit("three", "return 2", "return 3"))
    assert shop.reasons("three.evaluates", after=lambda: shop.edit("two", "return 2", "return 3")) == []


def test_a_module_that_is_imported_by_a_constant_name_is_followed(shop):
    shop.write(one="import importlib\ndef loads():\n    return importlib.import_module('shop.two').a()\n", two="def a():\n    return 1\n")
    assert shop.of("one.loads").notes == []
    assert shop.reasons("one.loads", after=lambda: shop.edit("two", "return 1", "return 2"))


def test_the_digest_is_the_same_whether_a_module_is_loaded_or_not(orders):
    before = orders.of("orders.late")
    orders.take("slow.work")
    assert orders.fresh().of(orders.take("orders.late")) == before


def test_functions_that_call_each_other_have_fingerprints_whoever_is_asked_first(shop):
    shop.write(one="def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)\n")
    first = shop.of("one.even"), shop.of("one.odd")
    prints = shop.fresh()
    second = prints.of(shop.take("one.odd")), prints.of(shop.take("one.even"))
    assert first == second[::-1]
    assert first[0].digest != first[1].digest


def test_stars_reexports_and_conditional_definitions_are_followed(shop):
    shop.write(
        one="""
            from shop.two import *
            FAST = True
            if FAST:
                def pick():
                    return 1
            else:
                def pick():
                    return 2
            def run():
                return starred() + pick()
        """,
        two="from shop.three import starred\n",
        three="def starred():\n    return 1\n",
    )
    assert {"shop.three.starred", "shop.one.pick", "shop.one.FAST"} <= set(shop.of("one.run").parts)
    assert "FAST changed" in shop.reasons("one.run", after=lambda: shop.edit("one", "FAST = True", "FAST = False"))[0] + " "


def test_a_function_that_was_replaced_at_run_time_counts_as_what_it_is_now(orders):
    before = orders.of("orders.orders")
    helpers = __import__("sys").modules["shop.helpers"]
    helpers.deep = helpers.never
    after = orders.fresh().of(orders.take("orders.orders"))
    assert "shop.helpers.deep was replaced at run time" in after.notes
    assert after.digest != before.digest


def test_the_walk_ends_where_it_is_told_to(orders):
    helpers = orders.take("helpers.deep")
    made = orders.fresh(stop=lambda value: value is helpers).of(orders.take("orders.orders"))
    inside = orders.of("orders.orders")
    assert made.parts["shop.helpers.deep"] != inside.parts["shop.helpers.deep"]
    assert made.parts["shop.helpers.deep"].startswith("value:")


def test_functions_without_a_file_are_fingerprinted_by_their_bytecode_and_it_is_said():
    space = {"__name__": "cells"}
    exec("def f(x):\n    return x + 1\ndef g(x):\n    return x + 2\n", space)
    made = [fingerprint(space[name], local=lambda _: True, versions=lambda _: None) for name in "fg"]
    assert made[0].digest != made[1].digest
    assert "bytecode counts" in made[0].notes[0]


def test_what_has_no_code_cannot_be_fingerprinted():
    with pytest.raises(NoFunction) as caught:
        fingerprint(len, local=lambda _: True, versions=lambda _: None)
    assert caught.value.code == "no-function"
    assert "has no code that can be fingerprinted" in caught.value.what
    assert 'say version="1"' in caught.value.mend


def test_an_unchanged_function_is_not_read_again_and_a_changed_one_is(orders):
    function = orders.take("orders.orders")
    first = orders.prints.of(function)
    assert orders.prints.of(function) is first
    path = orders.folder / "shop" / "helpers.py"
    path.write_text(path.read_text().replace("row - 1", "row - 11"))
    assert orders.prints.of(function).digest != first.digest


def test_tasks_partials_and_plain_functions_lead_to_the_same_code():
    def local(name):
        return name == __name__

    def work(row):
        return row

    plain = fingerprint(work, local=local, versions=lambda _: None)
    assert fingerprint(task(work), local=local, versions=lambda _: None) == plain
    assert fingerprint(functools.partial(work, 1), local=local, versions=lambda _: None).name == plain.name


def test_equal_fingerprints_have_no_difference_and_others_never_none():
    old = CodePrint("m.f", "m", "1", {"m.f": "code:1"})
    assert difference(old, old) == []
    assert difference(old, CodePrint("m.f", "m", "2", {"m.f": "code:1"})) == ["how fingerprints are made has changed"]


def test_tables_and_own_objects_in_a_closure_count_by_value_and_what_cannot_be_read_is_noted(shop):
    pa = pytest.importorskip("pyarrow")
    shop.write(
        jobs="""

        class Setting:
            def __init__(self, rate):
                self.rate = rate
        def scaled(by):
            def inner(row):
                return row, by
            return inner
        """
    )
    scaled, setting = shop.take("jobs.scaled"), shop.take("jobs.Setting")

    def digest(value):
        return shop.prints.of(scaled(value)).digest

    assert digest(setting(1)) == digest(setting(1)) != digest(setting(2))
    assert digest(pa.table({"x": [1, 2]})) == digest(pa.table({"x": [2, 1]})) != digest(pa.table({"x": [3]}))
    made = shop.prints.of(scaled(iter([])))
    assert made.notes == ["shop.jobs.scaled.inner[by] holds list_iterator: what is inside does not count"]
    assert digest("<b>") != digest("<i>")
    assert shop.prints.of(scaled("<b>")).notes == []


def test_an_expression_too_deep_to_be_walked_counts_as_it_is_written(shop):
    long = " + ".join(["row"] * 950)
    shop.write(jobs=f"def deep(row):\n    return {long} + other(row)\ndef other(row):\n    return row\n")
    assert "shop.jobs.other" in shop.of("jobs.deep").parts
    assert shop.reasons("jobs.deep", after=lambda: shop.edit("jobs", "+ other", "- other")) == ["code of deep changed"]
