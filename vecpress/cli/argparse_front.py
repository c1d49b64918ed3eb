"""The plain front end, made of the standard library alone."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

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
    command = COMMANDS[argv[0]]
    try:
        # "intermixed": options may stand between positional arguments, as the other front end allows
        namespace = _parser(command).parse_intermixed_args(argv[1:])
    except SystemExit as exit:  # --help
        return int(exit.code or 0)
    return call(command, vars(namespace))


def _overview(about: str) -> argparse.ArgumentParser:
    parser = _Parser(prog="vecpress", description=about, allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help=VERSION_HELP)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS.values():
        commands.add_parser(command.name, help=command.help, add_help=False)
    return parser


def _parser(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(prog=f"vecpress {command.name}", description=command.help, allow_abbrev=False)
    for p in command.parameters:
        how: dict[str, Any] = {"help": p.help.replace("%", "%%")}
        if p.kind is bool:
            how |= {"action": "store_true"}
        else:
            how |= {"metavar": p.metavar}
        if not p.flags:
            parser.add_argument(p.name, nargs="+" if p.many else None, **how)
            continue
        if p.many:
            how |= {"action": "append"}
        if p.shows_default:
            how["help"] += f" (default: {p.default})"
        parser.add_argument(*p.flags, dest=p.name, default=p.default, required=p.required, **how)
    return parser
