"""A command is one typed function; only its signature says which arguments and options there are.

    @command("Does this.")
    def twice(number: Annotated[int, Arg("NUMBER", "what to double")], console: Console) -> Result: ...

The front ends (argparse_front.py, typer_front.py) are built from `Command.parameters` and only parse.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

JSON_HELP = "print one JSON object and nothing else on standard output"


class UsageError(ValueError):
    """The command line is wrong; exit code 2."""


@dataclass(frozen=True)
class Arg:
    """A positional argument. Typed list[str], it takes one or more."""

    metavar: str
    help: str


@dataclass(frozen=True)
class Opt:
    """An option. Typed bool, it is a flag; typed list[str], it may be repeated."""

    flags: tuple[str, ...]
    help: str
    metavar: str = ""


@dataclass(frozen=True)
class Result:
    """What a command found: `data` is printed under --json, `text` otherwise; `code` is the exit code."""

    data: dict[str, Any]
    text: str
    code: int = 0


@dataclass(frozen=True)
class Parameter:
    """One argument or option, in the terms that both front ends understand."""

    name: str
    kind: type  # str, int, float or bool
    many: bool
    required: bool
    default: Any
    flags: tuple[str, ...]  # none: positional
    metavar: str
    help: str

    @property
    def shows_default(self) -> bool:
        return self.default is not None and self.kind is not bool


@dataclass(frozen=True)
class Command:
    """A named function and what it takes from the command line."""

    name: str
    help: str
    function: Callable[..., Result]
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Call:
    """A parsed command line."""

    command: Command
    arguments: dict[str, Any]
    as_json: bool


COMMANDS: dict[str, Command] = {}


def command(help: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Registers the decorated function as the command of its name, dashes for underscores; `console` is passed by the program."""

    def register(function: Callable[..., Result]) -> Callable[..., Result]:
        hints = get_type_hints(function, include_extras=True)
        signature = inspect.signature(function)
        parameters = [_parameter(p, hints[p.name]) for p in signature.parameters.values() if p.name != "console"]
        parameters.append(Parameter("json", bool, False, False, False, ("--json",), "", JSON_HELP))
        name = function.__name__.rstrip("_").replace("_", "-")  # import_ is a command, import is no function's name
        COMMANDS[name] = Command(name, help, function, tuple(parameters))
        return function

    return register


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    kind, spec = get_args(hint)[:2]
    if get_origin(kind) in (UnionType, Union):  # int | None
        kind = next(a for a in get_args(kind) if a is not type(None))
    many = get_origin(kind) is list
    if many:
        (kind,) = get_args(kind)
    required = parameter.default is inspect.Parameter.empty
    flags = spec.flags if isinstance(spec, Opt) else ()
    default = None if required else parameter.default
    return Parameter(parameter.name, kind, many, required, default, flags, spec.metavar, spec.help)


def call(command: Command, arguments: dict[str, Any]) -> Call:
    """The parsed arguments, whichever front end they came from, in one form.

    Front ends leave numbers as text: they are read here, so that both take the same ones. Raises UsageError.
    """
    values = {p.name: _value(command, p, arguments[p.name]) for p in command.parameters}
    as_json = values.pop("json")
    return Call(command, values, as_json)


def _value(command: Command, parameter: Parameter, given: Any) -> Any:
    if parameter.many:
        return list(given or ())
    if parameter.kind not in (int, float) or given is None:
        return given
    try:
        return parameter.kind(given)
    except ValueError:
        name = parameter.flags[-1] if parameter.flags else parameter.metavar
        kind = "an integer" if parameter.kind is int else "a number"
        raise UsageError(f"vecpress {command.name}: {name} expected {kind}, got {given!r}") from None
