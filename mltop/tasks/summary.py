"""Reports of tasks as lines for people and for a run's log: what was done, what was not, and the totals."""

from __future__ import annotations

from collections.abc import Sequence

from mltop.reports.plain import size, span
from mltop.system.text import clean
from mltop.tasks.archive.record import BackupReport, DrillReport, PruneReport, RestoreReport, VerifyReport
from mltop.tasks.cleanup.clean import Cleaned, CleanupReport
from mltop.tasks.outcome import Exit, Problem, many
from mltop.tasks.rotate.rule import Rotated, RotateReport

MOST = 20
"""Lines of one sort; the rest are counted. JSON has all of them."""


def took(seconds: float) -> str:
    """`0.4 s`, `42 s`, `12m 5s`, `3h 10m`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60}m"


def backup_lines(report: BackupReport) -> list[str]:
    """What a backup made, how that was verified, what retention took, and what the target has now."""
    lines = [_headline(f"backup {report.job}", report.state.value, report.message, report.duration_s)]
    if report.hint:
        lines.append(f"  remedy: {report.hint}")
    if report.path:
        lines.append(f"  archive   {clean(report.path, 4096)}")
    if (made := report.statistics) is not None:
        packed = f"{size(made.source_bytes)} in {many(made.files, 'file')}, packed {size(made.archive_bytes)}"
        left_out = f", {made.excluded} excluded ({size(made.excluded_bytes)})" if made.excluded else ""
        lines.append(f"  content   {packed}{left_out}")
    if report.verified and report.verified_at:
        lines.append(f"  verified  {report.verified}, {report.verified_at:%Y-%m-%d %H:%M}Z")
    if report.prune is not None:
        lines += prune_lines(report.prune)
    if report.remaining is not None:
        kept = f"{many(report.remaining, 'archive')}, {size(report.target_bytes)}"
        lines.append(f"  target    {kept}; {size(report.free_bytes)} free")
    return lines + problem_lines(report.problems) + problem_lines(report.notes, "note")


def prune_lines(report: PruneReport) -> list[str]:
    """What retention removed (would remove), and why it did not."""
    would = "would go" if report.dry_run else "went"
    if report.message:
        lines = [f"  pruned    nothing: {report.message}"]
        return [*lines, f"  remedy: {report.hint}"] if report.hint else lines
    if not report.removed and not report.purged:
        return ["  pruned    nothing"]
    lines = []
    if report.removed:
        gone = f"{many(len(report.removed), 'archive')} ({size(report.removed_bytes)}) {would} to the trash"
        lines.append(f"  pruned    {gone}")
        lines += _cut([f"    {each}" for each in report.removed])
    if report.purged:
        lines.append(f"  purged    {many(len(report.purged), 'file')} ({size(report.purged_bytes)}) {would} for good")
    return lines


def keep_lines(report: PruneReport) -> list[str]:
    """Every archive and why it stays or goes: the plan of a dry run."""
    return [
        f"  {'keep' if each.keep else 'go  '}  {each.id}  {', '.join(each.reasons) or 'out of the policy'}"
        for each in report.choices
    ]


def verify_lines(report: VerifyReport) -> list[str]:
    """What reading an archive back said."""
    what = f"{many(report.files, 'file')}, {size(report.archive_bytes)}" if report.archive_bytes else None
    headline = _headline(f"verify {report.id}", report.state.value, report.message or what, report.duration_s)
    return [headline, *problem_lines(report.problems)]


def restore_lines(report: RestoreReport) -> list[str]:
    """What became of the entries; those that were restored without a word are only counted."""
    counts = ", ".join(f"{count} {result}" for result, count in sorted(report.counts.items()) if count)
    state = ("ok" if report.exit_code is Exit.OK else report.exit_code.name.lower().replace("_", " ")) + (
        " (dry run)" if report.dry_run else ""
    )
    lines = [_headline(f"restore {report.id}", state, report.message, report.duration_s)]
    if report.hint:
        lines.append(f"  remedy: {report.hint}")
    lines.append(f"  into      {clean(report.to, 4096)}: {counts or 'nothing'}, {size(report.restored_bytes)}")
    told = [each for each in report.entries if each.result not in ("restored", "same")]
    return lines + _cut([f"  {each.result}: {each.path}: {each.reason or each.kind}" for each in told])


def drill_lines(report: DrillReport) -> list[str]:
    """Which archive was restored for a test, and whether it is what was backed up."""
    if report.is_skipped:
        return [f"drill {report.job}: skipped: {report.message}"]
    state = "restored whole" if report.exit_code is Exit.OK else _code_word(report.exit_code)
    lines = [_headline(f"drill {report.job}", state, report.message, report.duration_s)]
    if report.hint:
        lines.append(f"  remedy: {report.hint}")
    if report.id:
        lines.append(f"  archive   {report.id}")
    if report.exit_code is Exit.OK:
        lines.append(
            f"  compared  {many(report.files, 'file')}, {size(report.restored_bytes)}: SHA-256 as in the manifest"
        )
    return lines + problem_lines(report.problems)


def cleanup_lines(report: CleanupReport) -> list[str]:
    """Each folder before and after, and the sum."""
    lines = [line for each in report.paths for line in _folder_lines(each, report.dry_run)]
    if report.blind:
        lines.append(f"note: the open files of {report.blind} processes of others could not be seen")
    verb = "would free" if report.dry_run else "freed"
    total = f"{verb} {size(report.bytes_removed)} in {many(report.files_removed, 'file')}"
    return [*lines, _headline("cleanup", _code_word(report.exit_code), report.message or total, report.duration_s)]


def _folder_lines(folder: Cleaned, dry_run: bool) -> list[str]:
    if folder.refused:
        return [f"{folder.path}: refused: {folder.refused}"]
    if folder.is_missing:
        return [f"{folder.path}: not there"]
    verb = "would remove" if dry_run else "removed"
    gone = f"{verb} {many(folder.files_removed, 'file')}, {many(folder.folders_removed, 'folder')}"
    change = f"{size(folder.bytes_before)} before, {size(folder.bytes_after)} after"
    lines = [f"{folder.path}: {gone}; {change}"]
    if folder.kept:
        lines.append("  kept " + ", ".join(f"{count} {reason}" for reason, count in sorted(folder.kept.items())))
    if dry_run:
        lines += _cut([f"  {size(each.bytes):>9}  {span(each.age_s):>4}  {each.path}" for each in folder.removed])
    return lines + problem_lines(folder.problems)


def rotate_lines(report: RotateReport) -> list[str]:
    """Each log that something was done to, or could not be."""
    lines = [line for each in report.logs for line in _log_lines(each, report.dry_run)]
    verb = "would rotate" if report.dry_run else "rotated"
    total = f"{verb} {report.rotated} of {many(len(report.logs), 'log')}, {size(report.freed_bytes)} freed"
    return [*lines, _headline("rotate", _code_word(report.exit_code), report.message or total, report.duration_s)]


def _log_lines(log: Rotated, dry_run: bool) -> list[str]:
    reason = f" ({log.reason})" if log.reason else ""
    word = f"would be {log.action}" if dry_run and log.action == "rotated" else log.action
    to = f" to {log.to}" if log.to else ""
    lines = [f"{log.path}: {word}{to}, {size(log.bytes)}{reason}"]
    for verb, names in (("compressed", log.compressed), ("removed", log.removed)):
        lines += [f"  {verb} {name}" for name in names]
    return lines


def problem_lines(problems: Sequence[Problem], word: str = "problem") -> list[str]:
    """One line for each, its remedy with it."""
    return _cut(
        [f"  {word}: {each.path}: {each.message}" + (f" ({each.hint})" if each.hint else "") for each in problems]
    )


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= MOST else [*lines[:MOST], f"  and {len(lines) - MOST} more"]


def _headline(what: str, state: str, message: str | None, seconds: float) -> str:
    said = f"{what}: {state}" if not message else f"{what}: {state}: {clean(message, 1000)}"
    if message and message.startswith(state):  # `unchanged (verified …)`
        said = f"{what}: {clean(message, 1000)}"
    return f"{said} ({took(seconds)})"


def _code_word(code: Exit) -> str:
    return "ok" if code is Exit.OK else code.name.lower().replace("_", " ")
