"""`mltop backup ACTION`: make, list, verify, restore, try and prune backups, of a job or of two folders."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib import import_module

from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.fault import Fault
from mltop.tasks.outcome import TaskError

PROG = "mltop backup"
_WHAT = "Make, list, verify, restore, try and prune backups, of a job or of two folders."
_CODES = (
    "Exit codes: 0 ok, 1 failed, 2 usage or config, 3 partial, 4 not verified, 5 refused by a guard, 6 no space,"
    " 7 locked, 8 engine missing, 130/143 cancelled."
)


def main(arguments: list[str]) -> int:
    """Do one action; the exit codes of the interface."""
    if not arguments or arguments[0] not in _PARSERS:
        parser = Parser(prog=PROG, description=_WHAT, epilog=_CODES, allow_abbrev=False)
        parser.add_argument("action", choices=tuple(_PARSERS), metavar="ACTION", help=f"{', '.join(_PARSERS)}")
        parser.parse_args(arguments[:1])
        return ExitCode.USAGE
    action = arguments[0]
    options = _PARSERS[action]().parse_intermixed_args(arguments[1:])
    options.prog = f"{PROG} {action}"
    module = import_module(f"mltop.commands.backup.{action if action in _OWN_MODULES else 'shelf'}")
    try:
        code: int = getattr(module, action if action != "list" else "list_archives")(options)
        return code
    except (Fault, TaskError) as error:
        from mltop.commands.backup.document import refuse

        return refuse(options, error)


_OWN_MODULES = ("create", "drill", "explain", "list", "restore")


def _parser(action: str, description: str, *, is_of_job: bool = False) -> Parser:
    """What all actions have; where it `is_of_job`, a folder does not do, and is refused with the reason."""
    parser = Parser(prog=f"{PROG} {action}", description=description, epilog=_CODES, allow_abbrev=False)
    folder = argparse.SUPPRESS if is_of_job else "a folder with archives, in place of a job: no config needed"
    parser.add_argument("--target", metavar="DIR", help=folder)
    parser.set_defaults(is_of_job=is_of_job)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    common(parser)
    return parser


def _create() -> Parser:
    parser = _parser("create", "Make a backup, read it back, and apply the retention.")
    parser.add_argument("words", nargs="*", metavar="JOB", help="a job of kind backup; its run is in the history")
    parser.add_argument("--source", action="append", default=[], metavar="DIR", help="with --target; again for more")
    parser.add_argument("--id", metavar="ID", help="with --source: what the archives are called (default: its folder)")
    parser.add_argument("--compression", choices=("zstd", "gzip", "none"), default="zstd", help="with --source")
    parser.add_argument("--level", type=int, default=1, metavar="N", help="with --source (default 1)")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="with --source")
    parser.add_argument(
        "--settle", metavar="D", help="with --source: wait for files written to less than this ago (default 60s)"
    )
    parser.add_argument(
        "--keep-days", type=int, metavar="N", help="with --source: prune older ones (default: all stay)"
    )
    _add_accept_clock(parser)
    return parser


def _list() -> Parser:
    parser = _parser("list", "Archives, whether each is worth something, and the room that is left.")
    parser.add_argument("words", nargs="*", metavar="JOB", help="default: all backup jobs")
    return parser


def _verify() -> Parser:
    parser = _parser("verify", "Read archives back against their manifests; a damaged one is marked so.")
    parser.add_argument("words", nargs="*", metavar="JOB [ID]", help="default: the newest archive")
    parser.add_argument("--all", action="store_true", help="every archive")
    parser.add_argument(
        "--level", type=int, choices=(1, 2), default=2, help="1 the archive's hash, 2 every file's (default)"
    )
    return parser


def _restore() -> Parser:
    parser = _parser("restore", "Restore an archive, or some of its paths. What is there is never overwritten unasked.")
    parser.add_argument("words", nargs="*", metavar="JOB [ID] [PATH]", help="default: the newest verified, all of it")
    parser.add_argument("--to", required=True, metavar="DIR", help="the folder to restore into")
    parser.add_argument(
        "--overwrite",
        choices=("never", "if-different", "always"),
        default="never",
        help="what is there (default never)",
    )
    parser.add_argument(
        "--links", choices=("auto", "keep", "skip", "rebase"), default="auto", help="links that lead out (default auto)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored")
    return parser


def _prune() -> Parser:
    parser = _parser(
        "prune", "Apply a job's retention now: archives go to the trash first, the last good one never.", is_of_job=True
    )
    parser.add_argument("words", nargs="*", metavar="JOB", help="a job of kind backup")
    parser.add_argument("--dry-run", action="store_true", help="every archive, and why it stays or goes")
    _add_accept_clock(parser)
    return parser


def _drill() -> Parser:
    parser = _parser(
        "drill", "Restore the newest archive to a scratch folder, compare every file, remove it again.", is_of_job=True
    )
    parser.add_argument("words", nargs="*", metavar="JOB", help="a job of kind backup; the run of JOB.drill it is")
    return parser


def _explain() -> Parser:
    parser = _parser(
        "explain", "What a job backs up and leaves out, what would be kept and why, and what is proven.", is_of_job=True
    )
    parser.add_argument("words", nargs="*", metavar="JOB", help="a job of kind backup")
    return parser


def _undelete() -> Parser:
    parser = _parser("undelete", "Bring an archive back from the trash; without an ID: what is in it.", is_of_job=True)
    parser.add_argument("words", nargs="*", metavar="JOB [ID]", help="a job of kind backup, an archive of its trash")
    return parser


def _add_accept_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept-clock", action="store_true", help="prune although the clock jumped")


_PARSERS: Mapping[str, Callable[[], Parser]] = {
    "create": _create,
    "list": _list,
    "verify": _verify,
    "restore": _restore,
    "prune": _prune,
    "drill": _drill,
    "undelete": _undelete,
    "explain": _explain,
}
