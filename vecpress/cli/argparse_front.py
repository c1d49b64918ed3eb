"""The plain front end, made of the standard library alone."""

from __future__ import annotations

import argparse
from typing import NoReturn

from .command import COMMANDS, Call, Command, UsageError, call

VERSION_HELP = "print the version"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")


def parse(argv: list[str], about: str, version: str) -> Call | int:
    """The call that the command line asks for, or an exit code where it asked for help or the version alone.

    Raises UsageError.
    """
    if not argv or argv[0] in ("-h", "--help"):
        _overview(about).print_help()
        return 0
    if argv[0] == "--version":
        print(version)
        return 0
    if argv[0].startswith("-"):
        raise UsageError(f"vecpress: there is no option {argv[0]}")
    if argv[0] not in COMMANDS:
        raise UsageError(f"vecpress: there is no command {argv[0]!r}; there are {', '.join(COMMANDS)}")
    return _parse(COMMANDS[argv[0]], argv[1:])


def _overview(about: str) -> argparse.ArgumentParser:
    parser = _Parser(prog="vecpress", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help=VERSION_HELP)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS.values():
        commands.add_parser(command.name, help=command.help, add_help=False)
    return parser


def _parse(command: Command, argv: list[str]) -> Call | int:
    """argparse reads the options; positional arguments, which may stand between them, are dealt out here."""
    end = argv.index("--") if "--" in argv else len(argv)
    parser = _parser(command, positional=False)
    namespace, rest = parser.parse_known_args(argv[:end])
    values = vars(namespace)
    if values.pop("help"):
        _parser(command, positional=True).print_help()
        return 0
    unknown = [word for word in rest if word.startswith("-") and word != "-"]
    if unknown:
        parser.error(f"there is no option {unknown[0]}")
    rest += argv[end + 1 :]
    for p in command.parameters:
        if not p.flags:
            values[p.name], rest = (rest, []) if p.many else (rest[0] if rest else None, rest[1:])
        if p.required and not values[p.name]:
            parser.error(f"expected {p.flags[-1] if p.flags else p.metavar}")
    if rest:
        parser.error(f"there is no use for {rest[0]!r}")
    return call(command, values)


def _parser(command: Command, positional: bool) -> _Parser:
    parser = _Parser(prog=f"vecpress {command.name}", description=command.help, allow_abbrev=False, add_help=False)
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    for p in command.parameters:
        help = p.help.replace("%", "%%") + (f" (default: {p.default})" if p.shows_default else "")
        if not p.flags:
            if positional:
                parser.add_argument(p.name, nargs="+" if p.many else None, metavar=p.metavar, help=help)
        elif p.kind is bool:
            parser.add_argument(*p.flags, dest=p.name, action="store_true", help=help)
        else:
            parser.add_argument(
                *p.flags,
                dest=p.name,
                action="append" if p.many else "store",
                default=p.default,
                metavar=p.metavar,
                required=p.required and positional,  # for the usage line; what is missing is found in _parse
                help=help,
            )
    return parser
