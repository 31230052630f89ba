"""`mltop init`: a commented starter config with the standard jobs. It schedules nothing."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mltop.commands.parser import ExitCode, Parser, common
from mltop.config.edit import Edit, preview_text, write
from mltop.config.fault import Fault
from mltop.config.jobs import Jobs, job_files, judge
from mltop.config.location import SYSTEM_CONFIG, explicit_config, own_config, state_directory
from mltop.config.starter import BACKUPS, MODELS, Starter
from mltop.system.text import clean


def main(arguments: Sequence[str]) -> int:
    """Write the config: 0, also where there is one already; 1 where that fails, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return _sandbox(options) if options.sandbox else _init(options)
    except Fault as fault:
        return _failed(fault.lines)
    except OSError as error:
        return _failed([f"{error.filename or 'the config'}: {error.strerror}"])


def _parser() -> Parser:
    parser = Parser(
        prog="mltop init",
        description="Write a commented starter config with the standard jobs of a GPU box. Schedules nothing.",
        allow_abbrev=False,
    )
    parser.add_argument("--models", type=_folder, metavar="DIR", help=f"what to back up (default {MODELS})")
    parser.add_argument("--backups", type=_folder, metavar="DIR", help=f"where to (default {BACKUPS})")
    parser.add_argument(
        "--sandbox", type=_folder, metavar="DIR", help="make a small model tree, config and state there, to try it all"
    )
    parser.add_argument("--force", action="store_true", help="replace a config that is there; it is kept as .bak")
    common(parser)
    return parser


def _folder(text: str) -> str:
    if not text or not text.isprintable():
        raise argparse.ArgumentTypeError(f"expected a folder, got {text!r}")
    return os.path.abspath(Path(text).expanduser())  # noqa: PTH100 - as it is named, links and all


def _init(options: argparse.Namespace) -> int:
    file = own_config(options.config)
    if file is None:
        return _failed(["there is no HOME to put a config under: name a file by --config"])
    if _is_there(file, options):
        return ExitCode.DONE
    state = state_directory(options.state_dir)
    starter = _starter(options, file, state)
    jobs = _write(file, starter, options)
    _say([f"wrote {file}", *_listed(jobs, starter), *_next(file, options)])
    if state is None or state.is_dir() or not explicit_config(options.config) or _names_state(options):
        _note(state, file)  # a config of one's own, somewhere, makes no other folder for its sake
    return ExitCode.DONE


def _sandbox(options: argparse.Namespace) -> int:
    from mltop.commands import sandbox

    folder = Path(options.sandbox)
    if options.config or options.state_dir or options.models or options.backups:
        return _failed(["--sandbox has its own config, state, models and backups"], ExitCode.USAGE)
    file = folder / "config.toml"
    if _is_there(file, options):
        _say(_try(folder))
        return ExitCode.DONE
    if not file.exists() and folder.is_dir() and any(folder.iterdir()):
        return _failed([f"{folder}: is not empty: name a folder of its own"])
    sandbox.make(folder)
    options.config = str(file)
    starter = sandbox.starter(folder)
    jobs = _write(file, starter, options)
    _say([f"wrote {file}", *_listed(jobs, starter), *_try(folder)])
    _note(folder / "state", file)
    return ExitCode.DONE


def _names_state(options: argparse.Namespace) -> bool:
    return bool(options.state_dir or os.environ.get("MLTOP_STATE_DIR"))


def _note(state: Path | None, file: Path) -> None:
    """Note it among the operations; where that fails it is said, and the config stays."""
    from mltop.jobs.operation_log import note

    if complaint := note(state, "init", str(file)):
        _failed([complaint])


def _is_there(file: Path, options: argparse.Namespace) -> bool:
    """Whether a config is there and stays; says so. Raises Fault for what is there and is no file."""
    if file.is_symlink() and not file.exists():
        raise Fault([f"{file}: a link to {file.readlink()}, which is not there: make that, or take the link away"])
    if file.exists() and not file.is_file():
        raise Fault([f"{file}: not a file: give the config another place (--config)"])
    if options.force or not os.path.lexists(file):
        return False
    _say([f"{file} is there and stays as it is; --force writes a new one and keeps the old as {file.name}.bak"])
    return True


_NO_GPU = "there is no NVIDIA GPU here: set this to true where there is one"


def _starter(options: argparse.Namespace, file: Path, state: Path | None) -> Starter:
    models, backups = options.models or MODELS, options.backups or BACKUPS
    obstacles: dict[str, str] = {}
    if why := _no_source(Path(models)):
        obstacles["models-backup"] = f"{models} {why}: fill in source, then set this to true"
    elif why := _no_target(Path(backups)):
        obstacles["models-backup"] = f"{backups} {why}: fill in target, then set this to true"
    gpus = _gpus()
    if not gpus:
        obstacles["gpu-metrics"] = _NO_GPU
    from mltop.commands.loopback import answering

    return Starter(
        models=models,
        backups=backups,
        operations=str(state / "operations.jsonl") if state else None,
        obstacles=obstacles,
        elsewhere=_elsewhere(file, options),
        answering=answering(),
        gpus=gpus or None,
    )


def _elsewhere(file: Path, options: argparse.Namespace) -> Mapping[str, str]:
    """The jobs of other files, whose names are taken."""
    files = job_files(options.config)
    return {name: job.file for name, job in judge(files).jobs.items() if Path(job.file) != file}


def _no_source(folder: Path) -> str | None:
    """Why a folder cannot be read."""
    try:
        if not folder.is_dir():
            return "is not there"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return None if os.access(folder, os.R_OK | os.X_OK) else "cannot be read"


def _no_target(folder: Path) -> str | None:
    """Why a folder cannot be written; one that is missing is made by the first backup."""
    try:
        while not folder.exists():
            folder = folder.parent
        is_folder = folder.is_dir()
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    return None if is_folder and os.access(folder, os.W_OK | os.X_OK) else "cannot be written"


def _gpus() -> int:
    """How many NVIDIA GPUs the box has, as the PCI bus or the driver's device nodes tell."""
    from mltop.sampling.gpu.pci import cards_for_nvml
    from mltop.sampling.root import Roots

    nodes = [path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()]
    return max(len(cards_for_nvml(Roots.from_environment())), len(nodes), Path("/dev/dxg").exists())


def _write(file: Path, starter: Starter, options: argparse.Namespace) -> Jobs:
    """Judge the text and write it; returns its jobs."""
    from mltop.jobs.schedule.schedule import parse

    files = job_files(options.config)
    text = starter.text()
    before = None
    if os.path.lexists(file):
        before = file.read_bytes()
    else:
        preview_text(file, text, files, check_schedule=parse)
    write(Edit(file, before, text.encode()), is_shared=file == SYSTEM_CONFIG)
    return judge(job_files(options.config), parse)


def _listed(jobs: Jobs, starter: Starter) -> list[str]:
    lines = []
    for name in ("models-backup", "temp-cleanup", "health-check", "gpu-metrics", "logs"):
        if name in starter.elsewhere:
            lines.append(f"  {name:<14} left out: a job of {starter.elsewhere[name]} already")
        elif name in jobs.jobs:
            job = jobs.jobs[name]
            off = "" if job.enabled else f"disabled: {starter.obstacles.get(name, '').partition(':')[0]}"
            lines.append(f"  {name:<14} {' '.join(job.schedule):<13} {off}".rstrip())
    return lines


def _next(file: Path, options: argparse.Namespace) -> list[str]:
    named = "".join(
        f" {flag} {shlex.quote(value)}"
        for flag, value in (("--config", options.config), ("--state-dir", options.state_dir))
        if value
    )
    return [
        "nothing is scheduled yet; next:",
        f"  mltop jobs plan{named}",
        f"  mltop jobs apply{named}",
    ]


def _try(folder: Path) -> list[str]:
    where = f"--config {shlex.quote(str(folder / 'config.toml'))} --state-dir {shlex.quote(str(folder / 'state'))}"
    return ["nothing is scheduled; to try it:", f"  mltop run models-backup {where}", f"  mltop {where}"]


def _say(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{clean(line)}\n" for line in lines))


def _failed(lines: Sequence[str], code: ExitCode = ExitCode.FAILED) -> int:
    sys.stderr.write("".join(f"mltop init: {clean(line)}\n" for line in lines))
    return code
