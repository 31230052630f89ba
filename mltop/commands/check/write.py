"""What `mltop --check` writes: the report, whole or not at all."""

from __future__ import annotations

from mltop.commands.check.refuse import NoVerdictError, end_if_told, replacing, write_out


def write(text: str, path: str | None, code: int) -> int:
    """Write the report whole; one that could not be written is no verdict."""
    end_if_told()
    try:
        if path is not None:
            from pathlib import Path

            from mltop.system.file import write_named

            with replacing():
                write_named(Path(path), text.encode("utf-8", "replace"), 0o644)
        else:
            write_out(text)
    except OSError as error:
        raise NoVerdictError(f"{'standard output' if path is None else path or '-o'}: {error.strerror}") from None
    return code
