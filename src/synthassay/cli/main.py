"""The command ``synthassay``: finds the subcommand, helps at once, and turns user mistakes into short messages."""

import os
import sys
from collections.abc import Callable, Sequence

from synthassay import __version__
from synthassay.cli.helptext import COMMANDS, LINE_COMMANDS, MAIN_HELP, help_of
from synthassay.cli.processes import leave_team, speaks_for_all
from synthassay.errors import UserError
from synthassay.stopping import Stopped

HELP_FLAGS = ("-h", "--help", "help")
FILE_FLAGS = ("--real", "--synthetic")  # with one of them, `score` takes feature files instead of settings
EXIT_OK, EXIT_FAILED, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    It is 0, 1 where something failed, 2 for a user's mistake, 130 when interrupted, and 128 plus the number of a signal
    by which the system asked for an end. Of several processes, one says why they end.
    """
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        leave_team()
        return code
    except UserError as error:
        return _complain(str(error)) if speaks_for_all() else EXIT_USER
    except Stopped as stopped:
        if speaks_for_all():
            print(f"\n{stopped}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        if speaks_for_all():
            print("\nstopped; a run continues from here with the same command", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in HELP_FLAGS:
        print(MAIN_HELP if len(arguments) < 2 else help_of(arguments[1]))
        return EXIT_OK
    if arguments[0] in ("--version", "-V", "version"):
        print(f"synthassay {__version__}")
        return EXIT_OK
    command, rest = arguments[0], arguments[1:]
    if command not in COMMANDS:
        raise UserError(f"there is no command {command!r}; it is one of: {', '.join(COMMANDS)}")
    if any(flag in rest for flag in HELP_FLAGS[:2]):
        print(help_of(command))
        return EXIT_OK
    _share_cores()
    return _handler(command, rest)(rest)


def _share_cores() -> None:
    """Let threads that wait give up their core: spinning ones make training ten times slower beside other work.

    Read by OpenMP when torch is first imported, so it is set here; a value of the user's own is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _handler(command: str, rest: Sequence[str]) -> Callable[[list[str]], int]:
    """The function of a command; imported only now, so that help is instant."""
    if command == "score" and any(argument.partition("=")[0] in FILE_FLAGS for argument in rest):
        from synthassay.cli.score_files import score_files_command

        return score_files_command
    if command in LINE_COMMANDS:
        from synthassay.cli.app import run_app

        return lambda rest: run_app(command, rest)
    if command == "compare":
        from synthassay.cli.compare import compare_command

        return compare_command
    if command == "export":
        from synthassay.cli.export import export_command

        return export_command
    if command == "selftest":
        from synthassay.cli.selftest import selftest_command

        return selftest_command
    from synthassay.cli.doctor import doctor_command

    return doctor_command


def _complain(text: str) -> int:
    printable = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)  # names of files are untrusted
    lines = [line for line in printable.splitlines() if line.strip()]
    print("\n".join(["synthassay: " + lines[0], *("  " + line for line in lines[1:])]), file=sys.stderr)
    return EXIT_USER


if __name__ == "__main__":
    sys.exit(main())
