"""The front end used where typer and rich are installed: the same commands with richer help."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from .argparse_front import VERSION_HELP
from .command import COMMANDS, Call, Command, Parameter, UsageError, call


def parse(argv: list[str], about: str, version: str) -> Call | int:
    """As argparse_front.parse."""
    parsed: list[Call] = []
    names = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(help=about, add_completion=False, context_settings=names)

    @app.callback(invoke_without_command=True)
    def root(
        context: typer.Context,
        show_version: Annotated[bool, typer.Option("--version", help=VERSION_HELP)] = False,
    ) -> None:
        if show_version:
            typer.echo(version)
            raise typer.Exit
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit

    for command in COMMANDS.values():
        app.command(command.name, help=command.help)(_function(command, parsed))
    try:
        code = app(argv, prog_name="vecpress", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what click's errors have, in typer's own copy of click too
            raise
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "vecpress"
        raise UsageError(f"{where}: {error.format_message().rstrip('.')}") from None
    return parsed[0] if parsed else int(code or 0)


def _function(command: Command, parsed: list[Call]) -> Any:
    """A function with the signature that typer is to read; called, it only notes what it was called with."""

    def note(**arguments: Any) -> None:
        parsed.append(call(command, arguments))

    parameters = [_parameter(p) for p in command.parameters]
    note.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    note.__annotations__ = {p.name: p.annotation for p in parameters}
    return note


def _parameter(p: Parameter) -> inspect.Parameter:
    kind: Any = bool if p.kind is bool else list[str] if p.many else str
    if not p.required and p.default is None:
        kind = kind | None
    if p.flags:
        info = typer.Option(
            *p.flags,
            help=p.help,
            metavar=p.metavar or None,
            show_default=p.shows_default,
        )
    else:
        info = typer.Argument(help=p.help, metavar=p.metavar)
    default = inspect.Parameter.empty if p.required else p.default
    return inspect.Parameter(p.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info])
