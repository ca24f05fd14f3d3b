"""Functions written out as one do what they do as they are: the same value, the same calls in the same order."""

from __future__ import annotations

import ast
import dis
import itertools
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from types import FunctionType, ModuleType
from typing import Any

import pytest

from kemi.flat.seldom import seldom
from kemi.flat.sources import Sources
from kemi.flat.trees import ends
from kemi.flat.writer import Writer

# What stays a call is not the point: it depends on the version of Python.
ANY = "*"
FILES = itertools.count()
VALUES = (0, 1, 2, 5)


class Sample:
    """A module of the library, made of a text. What it hands to ``note`` is written down; ``note(5)`` raises."""

    def __init__(self, folder: Path, text: str, module: str = "kemi._sample", **more: object) -> None:
        self.file = folder / f"sample{next(FILES)}.py"
        self.file.write_text(dedent(text), encoding="utf-8")
        self.module = ModuleType(module)
        self.noted: list[object] = []
        vars(self.module).update(note=self._note, seldom=seldom, **more)
        sys.modules[self.module.__name__] = self.module  # dataclasses look there
        exec(compile(self.file.read_text(encoding="utf-8"), str(self.file), "exec"), vars(self.module))

    def _note(self, value: Any) -> Any:
        self.noted.append(value)
        if value == 5:
            raise ValueError(f"noted {value}")
        return value

    def outcome(self, function: Callable[..., object], *arguments: object) -> tuple[object, ...]:
        """What it gives or raises, and what it has noted."""
        self.noted.clear()
        try:
            value = function(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            return "raised", type(error), str(error), tuple(self.noted)
        return "returned", type(value), value, tuple(self.noted)

    def written(self, name: str = "f", fixed: dict[str, set[str]] | None = None) -> FunctionType:
        """The function of this name, written out."""
        names = [(getattr(self.module, owner), frozenset(kept)) for owner, kept in (fixed or {}).items()]
        writer = Writer(Sources(), names)
        function = getattr(self.module, name)
        arguments = [
            writer.variable(one) for one in function.__code__.co_varnames[: function.__code__.co_argcount]
        ]
        body = writer.call(function, arguments, lambda value: [ast.Return(value)])
        # A function that ends without return.
        body += [] if ends(body) else [ast.Return(ast.Constant(None))]
        return writer.compile(name, [one.id for one in arguments], body)


def text_of(function: FunctionType) -> str:
    """As it was written out."""
    text = function.__globals__["__loader__"].get_source("")
    assert isinstance(text, str)
    return text


def called(function: FunctionType) -> set[str]:
    """The last names of what it calls."""
    calls = [node.func for node in ast.walk(ast.parse(text_of(function))) if isinstance(node, ast.Call)]
    return {
        one.id if isinstance(one, ast.Name) else one.attr
        for one in calls
        if isinstance(one, ast.Name | ast.Attribute)
    }


@dataclass(frozen=True)
class Case:
    """`stays`: calls, besides ``note``, that are left; `fixed`: an object, and its attributes that never change."""

    text: str
    stays: str = ""
    fixed: str = ""


CASES = {
    "early returns": Case("""
        def kind(x):
            if x == 0:
                return "none"
            if x == 1:
                return "one"
            note("many")
            return "many"

        def f(x):
            found = kind(x)
            return note(found)
    """),
    "elif and else": Case("""
        def kind(x):
            if x == 0:
                name = note("none")
            elif x == 1:
                name = note("one")
            else:
                name = note("many")
            return name

        def f(x):
            return kind(x) + "!"
    """),
    "a condition with statements in an elif": Case("""
        def is_one(x):
            note("asked")
            return x == 1

        def f(x):
            if x == 0:
                return "none"
            elif is_one(x):
                return "one"
            return "many"
    """),
    "no value": Case("""
        def say(x):
            if x:
                note(x)

        def f(x):
            say(x)
            y = say(0)
            note(y)
            if x == 1:
                return
            return say(x)
    """),
    "conditional expression": Case("""
        def choose(x):
            return note("yes") if note(x) else note("no")

        def f(x):
            return choose(x) if x < 2 else [choose(x - 1), choose(0)]
    """),
    "conditional expression with what has statements": Case(
        """
        def long(x):
            note("long")
            return x

        def f(x):
            y = long(1) if x else long(2)
            return y, long(x) if long(x) else 7
    """,
        stays="long",
    ),
    "and, or, not": Case("""
        KNOWN = True
        OFF = False

        def f(x):
            a = KNOWN and note(x)
            b = OFF or note(x)
            c = KNOWN or note("never")
            d = OFF and note("never")
            e = note(x) and KNOWN and note(x + 1)
            g = note(0) or OFF or note(0)
            if not (OFF or not KNOWN):
                note("decided")
            if note(x) and KNOWN:
                note("both")
            if KNOWN and note(x) and not OFF and note(1):
                note("all")
            else:
                note("not all")
            return a, b, c, d, e, g, not note(x)
    """),
    "statements for what is after and": Case(
        """
        def long(x):
            note("long")
            return x

        def f(x):
            if note(x) and long(x) and not long(x - 1):
                return "all"
            return x and long(x) or long(2)
    """,
        stays="long",
    ),
    "try": Case("""
        def careful(x):
            try:
                y = note(x)
            except ValueError:
                return "bad"
            return y

        def f(x):
            a = careful(x)
            note("between")
            return a, careful(x)
    """),
    "return within try": Case(
        """
        def careful(x):
            try:
                return note(x)
            except ValueError:
                return "bad"

        def f(x):
            return careful(x)
    """,
        stays="careful",
    ),
    "what becomes of a value is not tried": Case(
        """
        def careful(x):
            try:
                return x
            except ValueError:
                return "bad"

        def hand(x):
            note(careful(x))
            return careful(x)

        def f(x):
            return note(hand(x))
    """,
        stays="careful",
    ),
    "try with else, several errors and a name": Case("""
        def careful(x):
            try:
                y = note(x)
                if x == 2:
                    raise KeyError("two")
            except KeyError as problem:
                z = str(problem)
            except (ValueError, TypeError) as problem:
                z = "!" + str(problem)
            else:
                z = note("well")
            return z

        def f(x):
            y = careful(x)
            try:
                z = careful(x) + careful(note(5))
            except ValueError as problem:
                z = str(problem)
            return y, z
    """),
    "raise with a cause": Case("""
        def check(x):
            if x == 1:
                raise KeyError("one") from None
            return x

        def f(x):
            return check(x) + check(note(x))
    """),
    "properties": Case("""
        class Thing:
            def __init__(self):
                self.state = 3

            @property
            def short(self):
                return self.state + 1

            @property
            def long(self):
                note("long")
                if self.state > 3:
                    return "more"
                return "less"

        thing = Thing()

        def f(x):
            thing.state = x
            a = thing.short + thing.short
            if thing.long == "less" and thing.short:
                thing.state = 9
            return a, thing.long, thing.short
    """),
    "defaults and keywords": Case(
        """
        def call(a, b=2, *, c, d=4):
            return a, b, c, d

        def long(a, b=2, *, c, d=4):
            note("long")
            return a, b, c, d

        def f(x):
            first = call(x, c=3), call(note(x), c=note(1), b=note(2)), call(note(1), d=note(x), c=3)
            second = long(c=note(x), a=note(1))
            return first, second, long(note(x), note(1), c=note(2))
    """,
        stays="call",
    ),
    "arguments in the order of the call": Case(
        """
        def minus(a, b=0):
            return a - b

        def back(a, b):
            return b - a

        def f(x):
            return minus(b=note(x), a=note(1)), minus(note(x), note(2)), back(note(1), note(x))
    """,
        stays="back",
    ),
    "arguments used twice, never, or perhaps": Case("""
        def twice(a):
            return a + a

        def never(a):
            return 1

        def perhaps(a, b):
            return b if a else 0

        def later(a):
            return note("before") + str(a)

        def f(x):
            y = twice(note(x))
            y = never(note(x)), y
            z = perhaps(x, note(1))
            return y, z, later(note(x))
    """),
    "an argument after what it changes": Case(
        """
        class Thing:
            def __init__(self):
                self.state = 0

            def grow(self):
                self.state = self.state + 1
                return self.state

            def sum(self, a):
                return self.state + a

        thing = Thing()

        def f(x):
            thing.state = x
            a = thing.sum(thing.grow())
            b = thing.state + thing.grow()
            c = thing.sum(a) + thing.sum(thing.grow())
            return a, b, c
    """,
        stays="grow sum",
    ),
    "local names that are the same": Case("""
        def inner(x):
            y = note(x)
            z = y
            return z

        def outer(y):
            z = inner(y)
            x = inner(z)
            return x, y, z

        def f(x):
            y = 10
            note(y)
            y = outer(x)
            z = outer(x)
            return x, y, z
    """),
    "local names that are built in": Case("""
        def size(len):
            str = note(len)
            return str

        def f(x):
            list = size(x)
            return list, len("abc"), str(x)
    """),
    "assigned once or twice": Case(
        """
        KNOWN = 3

        def f(x):
            a = KNOWN
            b = KNOWN
            if x:
                b = 4
            c, d = (1, 2)
            e, g = note(x), a
            a2 = b2 = 1 if x else 0
            return a, b, c, d, e, g, a2, b2
    """,
        stays="f",
    ),
    "one known value, another caught": Case("""
        def g(x):
            found = 1
            try:
                note(x)
            except ValueError as found:
                note("caught")
            return x

        def h(x):
            a = 1
            b, c = (a, x)
            if x == 2:
                c = 7
            return a, b, c

        def f(x):
            return g(x), h(x)
    """),
    "swap": Case("""
        def swapped(x):
            a, b = x, 1
            a, b = b, a
            return a, b

        def f(x):
            return swapped(x)
    """),
    "walrus": Case(
        """
        def add(a, b):
            return a + b

        def back(a, b):
            return b - a

        def long(a, b=0):
            note("long")
            return a - b

        def f(x):
            y = 10
            note(y)
            if x and (z := long(x)) is not None:
                note(z)
            a = add(y, (y := note(1))), back(y, (y := note(2)))
            b = y + long((y := note(x)))
            c = (y := long(x)) + long(y)
            return a, b, c, long(y, (y := 4)), y
    """,
        stays="add back long",
    ),
    "walrus in a parameter's name": Case(
        """
        def g(x):
            return (x := x + 1) + x

        def f(x):
            return g(x), x
    """,
        stays="g",
    ),
    "decided beforehand": Case(
        """
        from enum import Enum, IntEnum

        class Colour(Enum):
            RED = 1
            BLUE = 2

        class Number(IntEnum):
            ONE = 1
            MINUS = -1

        SET = frozenset({"a", "b"})
        NAMES = ("a", "c")
        NOTHING = None

        def look(name, colour):
            if name in SET and name not in NAMES:
                return "set"
            if colour is Colour.RED:
                return "red"
            if isinstance(name, str) and type(name) is str and type(colour) is Colour:
                return "text"
            return "other"

        def f(x):
            found = look("b", None), look("a", Colour.RED), look("c", Colour.BLUE), look(x, Colour.BLUE), look(x, None)
            one = Number.ONE
            same = Number(x) is one if x == 1 else 0
            return found, one.name, f"{one!r} {one}", same, NOTHING is None, Number.MINUS + 2
    """,
        stays="Number isinstance type",
    ),
    "what may change is asked each time": Case(
        """
        SEEN = {}
        LIST = [1]

        class Count:
            total = 0

        def add(x):
            Count.total = Count.total + x
            SEEN[x] = 1

        def f(x):
            before = "new" if x not in SEEN else "known", LIST == [1], Count.total
            add(x)
            LIST.append(x)
            result = before, x in SEEN, LIST == [1], Count.total
            LIST.pop()
            SEEN.clear()
            Count.total = 0
            return result
    """,
        stays="add append pop clear",
    ),
    "comparisons of what cannot be compared": Case("""
        NOTHING = None
        TEXT = "a"

        def f(x):
            if x == 1 and 1 in NOTHING:
                return "never"
            return x >= TEXT if x == 2 else NOTHING >= 1 if x == 0 else 5
    """),
    "chained comparison": Case(
        """
        def long(x):
            note("long")
            return x

        def f(x):
            return 0 < x < long(2), long(1) < long(x) < long(3), note(2) > note(x) > note(0)
    """,
        stays="long",
    ),
    "order within what is put together": Case(
        """
        def long(x):
            note("long")
            return x

        def f(x):
            a = [long(x), note(1), long(x)]
            b = {long(1): note(x), long(2): note(2)}
            c = long(x) + note(1) - long(note(2))
            d = f"{long(x)} {note(1):>{long(4)}} {long(x)!r}"
            e = a[long(0)], a[long(0) : note(2)]
            return a, b, c, d, e
    """,
        stays="long",
    ),
    "texts within texts": Case(
        '''
        def name(x):
            return f"{note(x)}'s \\"name\\""

        def shout(x):
            return f"{name(x)!s:>{note(20)}}" + f'{name("a")}' + f"{'x' if x else 'y'}"

        def lines(x):
            text = """one
              two
            three"""
            return text + str(x)

        def f(x):
            return f"<{shout(x)}>", f"""{name(f'{x}')}""", lines(x)
    ''',
        stays=ANY,
    ),
    "negative numbers": Case(
        """
        MINUS = -3

        def power(a, b):
            return a**b

        def f(x):
            return power(MINUS, 2), power(MINUS, 3), MINUS.bit_length(), -MINUS, x - MINUS, power(-x, 2)
    """,
        stays="bit_length",
    ),
    "frozen dataclasses": Case(
        """
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Inner:
            number: int = 3
            names: tuple = ("a",)

        @dataclass(frozen=True)
        class Settings:
            on: bool = True
            inner: Inner = Inner()

            def bits(self):
                return self.inner.number + 1 if self.on else 0

        settings = Settings()

        class Thing:
            def __init__(self):
                self.settings = settings
                self.limit = 7

            def ask(self, x):
                if not self.settings.on:
                    return note("never")
                if "a" in self.settings.inner.names:
                    note(self.settings.inner.number)
                return x > self.limit, self.settings.bits()

        thing = Thing()

        def f(x):
            return thing.ask(x)
    """,
        fixed="thing settings limit",
    ),
    "nested": Case(
        """
        class Thing:
            def a(self, x):
                if self.b(x):
                    return self.c(x, 1)
                return self.c(x)

            def b(self, x):
                y = self.c(x)
                if y == 1:
                    return True
                return note(y) == 2

            def c(self, x, more=0):
                if x > 1:
                    if x > 2:
                        return note(3)
                    return note(x)
                note("c")
                return x + more

        thing = Thing()

        def f(x):
            y = thing.a(x)
            if thing.b(x) and y:
                return thing.a(y), thing.b(x)
            return thing.b(1)
    """,
        stays="",
    ),
    "breaks go out of their own block": Case("""
        def inner(x):
            if x == 0:
                return "zero"
            try:
                y = note(x)
            except ValueError:
                if x == 5:
                    return "five"
                y = 0
            if y == 1:
                return "one"
            note("end")
            return "other"

        def middle(x):
            y = inner(x)
            if y == "one":
                return inner(0)
            if x == 2:
                return inner(1)
            note("middle")
            return y

        def f(x):
            a = middle(x)
            if a == "zero":
                note("first")
                b = inner(2)
            else:
                b = middle(1)
            note("second")
            return a, b
    """),
    "what stays a call": Case(
        """
        def loop(x):
            for _ in range(x):
                note("loop")
            return x

        def wait(x):
            while x > 0:
                x = x - 1
            return x

        def with_lambda(x):
            return (lambda y: note(y))(x)

        def listed(x):
            return [note(y) for y in range(x)]

        def any_number(*args, **kwargs):
            return args, kwargs

        def starred(x, y=1):
            return x, y

        def again(x):
            note(x)
            return again(x - 1) if x > 0 else x

        @seldom
        def rare(x):
            return note(x)

        def outer():
            z = 4
            def closure(x):
                return note(x + z)
            return closure

        closure = outer()

        def generator(x):
            y = yield from [note(x)]
            return y

        def finally_(x):
            try:
                note(x)
            finally:
                note("finally")

        def counted(x):
            x += 1
            return x

        def f(x):
            a = loop(x), wait(x), with_lambda(x), listed(x), any_number(x, a=1), starred(*[x]), starred(**{"x": x})
            b = again(x)
            c = rare(x), closure(x), list(generator(x)), counted(x)
            finally_(x)
            return a, b, c
    """,
        stays="f",
    ),
    "each that stays": Case(
        """
        def loop(x):
            for _ in range(x):
                note("loop")
            return x

        def with_lambda(x):
            return (lambda y: note(y))(x)

        def starred(x, y=1):
            note("starred")
            return x, y

        def two(x):
            return starred(*[x, 2])

        def again(x):
            note(x)
            if x > 0:
                return again(x - 1)
            return x

        @seldom
        def rare(x):
            return note(x)

        def generator(x):
            y = yield from [note(x)]
            return y

        def tried(x):
            try:
                note(x)
            finally:
                note("finally")

        def f(x):
            a = loop(x), two(x)
            b = with_lambda(x)
            d = generator(x)
            tried(x)
            return a, b, again(x), rare(x), list(d)
    """,
        stays="loop starred with_lambda again rare generator tried list",
    ),
    "super, private names and methods of the class": Case(
        """
        class Base:
            def greet(self, x):
                return note(x)

        class Thing(Base):
            __secret = 3

            def greet(self, x):
                return super().greet(x) + 1

            def hidden(self, x):
                return self.__secret + x

            @staticmethod
            def still(x):
                return note(x)

            @classmethod
            def of_class(cls, x):
                return cls.__name__, x

        thing = Thing()

        def f(x):
            return thing.greet(x), thing.hidden(x), thing.still(x), thing.of_class(x)
    """,
        stays="greet hidden still of_class",
    ),
    "an attribute of the instance in the way of a method": Case(
        """
        class Thing:
            def __init__(self):
                self.ask = lambda x: note(("instance", x))

            def ask(self, x):
                return note(("class", x))

        thing = Thing()

        def f(x):
            return thing.ask(x)
    """,
        stays="ask",
    ),
    "a method by another name": Case(
        """
        class Thing:
            def ask(self, x):
                note("ask")
                return x

            other = ask

        thing = Thing()
        bound = thing.ask

        def hand(x, do):
            return do(x)

        def f(x):
            return bound(x), thing.other(x), hand(x, thing.ask), hand(x, bound)
    """,
        stays="ask bound other",
    ),
    "called wrongly": Case(
        """
        def one(x):
            return x

        def f(x):
            if x == 1:
                return one(1, 2)
            if x == 2:
                return one(1, x=2)
            return one() if x else one(0)
    """,
        stays="one",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_written_out_a_function_does_the_same(tmp_path: Path, case: Case) -> None:
    sample = Sample(tmp_path, case.text)
    owner, *names = case.fixed.split() or [""]
    written = sample.written(fixed={owner: set(names)} if owner else None)
    for value in VALUES:
        assert sample.outcome(written, value) == sample.outcome(sample.module.f, value), text_of(written)
    own = {name for name, value in vars(sample.module).items() if callable(value)} - {"note"}
    for value in [*vars(sample.module).values()]:
        if isinstance(value, type):
            own |= {name for name in vars(value) if not name.startswith("__")}
    left = {one.rstrip("_0123456789") for one in called(written)} & own
    assert case.stays == ANY or left == {*case.stays.split()} & own, text_of(written)


USERS = """
    class Mine(Thing):
        def ask(self, x):
            return note(("mine", x))

        @property
        def state(self):
            return note("my state")

    thing = Mine()
"""
LIBRARYS = """
    class Thing:
        def ask(self, x):
            return note(("library", x))

        @property
        def state(self):
            return note("state")

        def decide(self, x):
            return self.ask(x), self.state, self.other(x)

        def other(self, x):
            return note(("other", x))
"""


def test_a_number_is_compared_by_an_instruction_of_its_own(tmp_path: Path) -> None:
    """Which Python has for comparisons that it only has to branch on."""
    sample = Sample(tmp_path, "def f(a):\n    b = a > 1\n    note(b)\n    return b\n")
    written = sample.written()
    found = [one.opname for one in dis.get_instructions(written)]
    assert found[found.index("COMPARE_OP") + 1].startswith("POP_JUMP")
    for value in VALUES:
        assert sample.outcome(written, value) == sample.outcome(sample.module.f, value)


def test_what_a_user_overrides_stays_a_call(tmp_path: Path) -> None:
    library = Sample(tmp_path, LIBRARYS)
    user = Sample(tmp_path, USERS, "routes", Thing=library.module.Thing)
    library.noted = user.noted
    both = Sample(tmp_path, "def f(x):\n    return thing.decide(x)", thing=user.module.thing)
    both.noted = user.noted
    written = both.written()
    for value in VALUES:
        assert both.outcome(written, value) == both.outcome(both.module.f, value)
    assert called(written) == {"ask", "note"}
    assert ".state" in text_of(written)


def test_a_users_function_stays_a_call(tmp_path: Path) -> None:
    sample = Sample(tmp_path, "def f(x):\n    return note(x)", "routes")
    assert called(sample.written()) == {"f"}


def test_a_function_without_source_stays_a_call(tmp_path: Path) -> None:
    sample = Sample(tmp_path, "def g(x):\n    return note(x)\n\ndef f(x):\n    return g(x)")
    sample.file.unlink()
    assert called(sample.written()) == {"f"}


@pytest.mark.parametrize("now", ["note(-x)", "note(x), 1", "(y := note(x))", "note(x"])
def test_a_function_whose_file_has_changed_stays_a_call(tmp_path: Path, now: str) -> None:
    """A server runs while its library is replaced."""
    text = "SIGN = 1\ndef g(x):\n    return {}\n\ndef f(x):\n    return g(x)"
    sample = Sample(tmp_path, text.format("note(x * SIGN)"))
    sample.file.write_text(text.format(now))
    assert sample.outcome(sample.written(), 1) == ("returned", int, 1, (1,))


def test_a_lambda_and_an_object_stay_calls(tmp_path: Path) -> None:
    class Rule:
        def __call__(self, x: int) -> int:
            return x + 1

    sample = Sample(tmp_path, "g = lambda x: note(x)\ndef f(x):\n    return g(x), rule(x)", rule=Rule())
    written = sample.written()
    assert sample.outcome(written, 1) == ("returned", tuple, (1, 2), (1,))
    writer = Writer(Sources())
    function = writer.compile(
        "f", ["x"], writer.call(sample.module.g, [ast.Name("x")], lambda one: [ast.Return(one)])
    )
    assert function(2) == 2


def test_a_traceback_shows_the_line(tmp_path: Path) -> None:
    """Of each function its own, though their names are the same."""
    for number in range(2):
        sample = Sample(tmp_path, f"def g(x):\n    return note({number}) / x\n\ndef f(x):\n    return g(x)")
        try:
            sample.written()(0)
        except ZeroDivisionError:
            assert f"return note({number}) / x" in traceback.format_exc()
        else:
            pytest.fail("nothing was raised")


# -- programs by chance

NAMES = ("a", "b", "c")


class Programs:
    """Programs of a few functions; each calls only those before it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._callable: list[tuple[str, int]] = []

    def text(self) -> str:
        self._callable = []
        parts = [HEAD]
        for number in range(4):
            count = self._random.randint(1, 3)
            parts.append(self._function(f"g{number}", NAMES[:count]))
            self._callable.append((f"g{number}", count))
        parts.append(self._function("f", ("a",)))
        return "\n".join(parts)

    def _function(self, name: str, parameters: tuple[str, ...]) -> str:
        one = self._random.random()
        if name != "f" and one < 0.35:
            body = f"return {self._expression(parameters, 2)}"
        else:
            # Variables of its own have a value from the beginning.
            own = ("x", "y") if one < 0.8 else ("x", "b2")
            first = "\n".join(f"{each} = {self._expression(parameters, 1)}" for each in own)
            body = f"{first}\n{self._block((*parameters, *own), own, 2)}"
        return f"def {name}({', '.join(parameters)}):\n{indent(body, '    ')}\n"

    def _block(self, names: tuple[str, ...], own: tuple[str, ...], depth: int) -> str:
        return "\n".join(self._statement(names, own, depth) for _ in range(self._random.randint(1, 3)))

    def _statement(self, names: tuple[str, ...], own: tuple[str, ...], depth: int) -> str:
        def expression() -> str:
            return self._expression(names, 2)

        def block() -> str:
            return indent(self._block(names, own, depth - 1), "    ")

        kinds = ["assign", "assign", "call", "return", "pair", "attribute", "if", "else", "elif", "try"]
        match self._random.choice(kinds[: None if depth else 6]):
            case "assign":
                return f"{self._random.choice(own)} = {expression()}"
            case "call":
                return f"note({expression()})" if self._random.random() < 0.4 else self._call(names, 1)
            case "pair":
                return f"{own[0]}, {own[1]} = {expression()}, {expression()}"
            case "attribute":
                return f"thing.state = {expression()}"
            case "return":
                return f"return {expression()}" if self._random.random() < 0.4 else f"note({expression()})"
            case "if":
                return f"if {expression()}:\n{block()}"
            case "else":
                return f"if {expression()}:\n{block()}\nelse:\n{block()}"
            case "elif":
                return f"if {expression()}:\n{block()}\nelif {expression()}:\n{block()}\nelse:\n{block()}"
            case _:
                tried = f"try:\n{block()}\nexcept ValueError as problem:\n    note(str(problem))\n{block()}"
                return tried + (f"\nelse:\n{block()}" if self._random.random() < 0.3 else "")

    def _call(self, names: tuple[str, ...], depth: int) -> str:
        known: list[tuple[str, int]] = [*self._callable, ("thing.ask", 1), ("thing.twice", 1), ("note", 1)]
        name, count = self._random.choice(known)
        arguments = [self._expression(names, depth - 1) for _ in range(count)]
        if count > 1 and name.startswith("g") and self._random.random() < 0.3:
            named = [f"{key}={value}" for key, value in zip(NAMES, arguments, strict=False)]
            self._random.shuffle(named)
            return f"{name}({', '.join(named)})"
        return f"{name}({', '.join(arguments)})"

    def _expression(self, names: tuple[str, ...], depth: int) -> str:
        def part() -> str:
            return self._expression(names, depth - 1)

        choose = self._random.choice
        if depth <= 0:
            return choose(
                [*names, *names, "0", "1", "2", "-1", "ON", "OFF", "thing.state", "thing.kept", "thing.size"]
            )
        match choose(
            [
                "atom",
                "call",
                "call",
                "and",
                "or",
                "not",
                "if",
                "compare",
                "chain",
                "plus",
                "in",
                "is",
                "walrus",
            ]
        ):
            case "call":
                return self._call(names, depth)
            case "and":
                return f"({part()} and {part()})"
            case "or":
                return f"({part()} or {part()} or {part()})"
            case "not":
                return f"(not {part()})"
            case "if":
                return f"({part()} if {part()} else {part()})"
            case "compare":
                return f"({part()} {choose(['==', '!=', '<', '>='])} {part()})"
            case "chain":
                return f"({part()} < {part()} <= {part()})"
            case "plus":
                return f"({part()} {choose('+-')} {part()})"
            case "in":
                return f"({part()} in ({part()}, {choose(['1', 'ON'])}))"
            case "is":
                return f"({choose(['ON', 'OFF', 'None'])} is {choose(['ON', 'OFF', 'None'])})"
            case "walrus":
                return f"(w := {part()})"
            case _:
                return self._expression(names, 0)


HEAD = """
ON, OFF = True, False

class Thing:
    def __init__(self):
        self.state = 0
        self.kept = 2

    def ask(self, x):
        if x == self.kept:
            return note(self.state)
        self.state = x
        return 1

    def twice(self, x):
        return x + x

    @property
    def size(self):
        note("size")
        if self.state == 1:
            return 3
        return self.state

thing = Thing()
"""


def programs(count: int) -> Iterator[str]:
    chance = Programs(0)
    return (chance.text() for _ in range(count))


def test_programs_by_chance_do_the_same(tmp_path: Path) -> None:
    written_out = 0
    for text in programs(80):
        sample = Sample(tmp_path, text)
        written = sample.written(fixed={"thing": {"kept"}})
        written_out += "f" not in called(written)
        for value in (0, 1, 2, 5):
            sample.module.thing.state = 0
            expected = sample.outcome(sample.module.f, value)
            sample.module.thing.state = 0
            assert sample.outcome(written, value) == expected, f"f({value}) in\n{text}\n{text_of(written)}"
    assert written_out > 60, "hardly any was written out"
