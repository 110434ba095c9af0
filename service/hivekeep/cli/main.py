"""The ``hivekeep`` command line.

Responsible for the tree of commands and for rendering every error; a traceback is never shown.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, TyperException

from hivekeep import __version__
from hivekeep.cli import (
    approvals,
    ask,
    audit,
    daemon,
    demo,
    doctor,
    mcp,
    models,
    policy,
    recipes,
    run_verbs,
    runs,
    schedule,
    ui,
    watch,
)
from hivekeep.cli.output import EXIT_CODES, print_error, stderr
from hivekeep.daemon.profile import Profile
from hivekeep.domain.errors import HivekeepError, UsageError

app = typer.Typer(
    name="hivekeep",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A swarm of local AI sub-agents that reads your documents; nothing leaves the machine.\n\n"
    "First steps: [bold]hivekeep models pull[/], then "
    "[bold]hivekeep run invoices FOLDER[/], or [bold]hivekeep watch add FOLDER invoices[/].",
    epilog=EXIT_CODES,
)
app.command("run")(runs.run)
app.command("ask")(ask.ask)
app.add_typer(run_verbs.app, name="runs")
app.add_typer(watch.app, name="watch")
app.add_typer(approvals.app, name="approvals")
app.add_typer(schedule.app, name="schedule")
app.add_typer(ui.app, name="ui")
app.add_typer(recipes.app, name="recipes")
app.add_typer(models.app, name="models")
app.add_typer(mcp.app, name="mcp")
app.add_typer(daemon.app, name="daemon")
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hivekeep {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the profile to use (default: your data folder).",
            envvar="HIVEKEEP_HOME",
            file_okay=False,
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Choose the profile for all commands."""
    context.obj = Profile.locate(profile)


def main() -> None:
    """Run the command line and exit with a documented status."""
    as_json = "--json" in sys.argv
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        status = app(standalone_mode=False)
    except HivekeepError as error:
        print_error(error, as_json=as_json)
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, Abort):
        stderr.print("Interrupted. Runs under way go on in the daemon.")
        sys.exit(130)
    except TyperException as error:
        problem = _wrong_usage(error)
        if problem is not None:
            print_error(problem, as_json=as_json)
        sys.exit(UsageError.exit_status)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        logging.getLogger("hivekeep").debug("unexpected error", exc_info=error)
        problem_ = HivekeepError(
            "Hivekeep met an error of its own.",
            why=f"{type(error).__name__}: {error}",
            next_step="Please report it with your command; 'hivekeep doctor' may tell more.",
        )
        print_error(problem_, as_json=as_json)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


def _wrong_usage(error: TyperException) -> UsageError | None:
    """What was wrong with the command line; ``None`` if it was empty and its help is shown."""
    # Typer keeps the classes of these errors to itself; their methods are click's.
    shown: Any = error
    if type(error).__name__ == "NoArgsIsHelpError":
        shown.show()
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "hivekeep"
    text = shown.format_message() if hasattr(error, "format_message") else str(error)
    return UsageError(text, next_step=f"'{command} --help' explains.")


if __name__ == "__main__":
    main()
