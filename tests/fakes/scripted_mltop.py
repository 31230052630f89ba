"""A stand-in for mltop's command line: answers from a folder of recorded documents, and notes what it was asked.

`python scripted_mltop.py FOLDER ARGUMENT ...` prints `FOLDER/<words>.json`, where the words are the arguments up to the
first option, joined by `-`; a file `<words>.order` with lines `sleep SECONDS` and `exit CODE` makes it slow or fail.
`until FILE` waits for a file of the folder, `say TEXT` complains, `make FILE` makes one, after what was said.
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path


def main() -> int:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    with (folder / "asked.txt").open("a", encoding="utf-8") as file:
        file.write("\x1f".join(words) + "\n")
    plain = itertools.takewhile(lambda word: not word.startswith("-"), words)
    name = "-".join(plain) or "check"
    if "--dry-run" in words:
        name = f"{name}.dry"
    code = 0
    order = folder / f"{name}.order"
    for line in order.read_text().splitlines() if order.exists() else ():
        word, _, value = line.partition(" ")
        if word == "sleep":
            time.sleep(float(value))
        elif word == "until":
            while not (folder / value).exists():
                time.sleep(0.005)
        elif word == "exit":
            code = int(value)
        elif word == "say":
            sys.stderr.write(value + "\n")
            sys.stderr.flush()
        elif word == "make":
            (folder / value).touch()
    answer = folder / f"{name}.json"
    if answer.exists():
        sys.stdout.buffer.write(answer.read_bytes())
    elif code == 0:
        sys.stdout.write('{"schema": "mltop.plan/1", "errors": []}\n')
    return code


if __name__ == "__main__":
    sys.exit(main())
