"""Crontabs that other programs lost, reordered or ran at other times: each has to come through byte for byte (J9)."""

from __future__ import annotations

BEGIN, END = b"# >>> mltop managed (do not edit) >>>", b"# <<< mltop managed <<<"

CORPUS: dict[str, bytes] = {
    "nothing": b"",
    "an empty line": b"\n",
    "blank lines and spaces": b"\n\n  \n\t\n \t \n",
    "comments alone": b"# one\n#two\n   # three\n",
    # comments with an equals sign
    "a comment with a query": b"# see https://x/?a=b\n0 1 * * * x\n",
    "a comment that looks like a variable": b"# MAILTO=root\n0 1 * * * x\n",
    "a ruled comment": b"# ==== Backups ====\n0 1 * * * x\n# ----=----\n",
    "a comment that looks like a job": b"# 0 1 * * * not a job\n#0 2 * * * nor this\n0 3 * * * x\n",
    "a comment of another tool": b"#Ansible: nightly\n0 1 * * * x\n# DISABLED LINE\n# 0 2 * * * y\n",
    "double comments": b"## a\n### b # c\n0 1 * * * x\n",
    # variables
    "a variable with spaces": b"MAILTO = ops\n0 1 * * * x\n",
    "a variable without a job": b"0 1 * * * x\nPATH=/a:/b\n",
    "an empty variable": b"MAILTO=\n0 1 * * * x\n",
    "an empty quoted variable": b'MAILTO=""\n0 1 * * * x\n',
    "quotes in quotes": b"FOO='say \"hi\"'\n0 1 * * * x\n",
    "a quoted name": b"\"A B\" = 'c d'\n0 1 * * * x\n",
    "a variable that refers": b"BASE=/srv\nBIN=$BASE/bin\n0 1 * * * $BIN/x\n",
    "the same variable twice": b"A=1\n0 1 * * * x\nA=2\n0 2 * * * x\nA=\n",
    "a variable with a hash": b"PASSWORD=a#b # not a comment\n0 1 * * * x\n",
    "a zone": b"CRON_TZ=Pacific/Chatham\n0 1 * * * x\n",
    # schedules that others rewrite
    "a range that is all days": b"0 0 1-31 * 1 x\n",
    "a stepped range of days": b"0 0 1-31/2 * 0 x\n",
    "all weekdays as a range": b"0 0 13 * 1-7 x\n0 0 13 * 0-6 x\n",
    "eight weekdays": b"0 0 * * 0-7 x\n",
    "a step beyond the hour": b"*/60 * * * * x\n",
    "a range backwards": b"0 0 * * 5-0 x\n59-5 * * * * y\n",
    "a random minute": b"0~59 * * * * x\n~ 3 * * * y\n",
    "midnight in five fields": b"0 0 * * * x\n0 0 1 1 * y\n",
    "zeros in front": b"00 02 01 01 00 x\n",
    "a step from zero": b"0-59/15 * * * * x\n",
    "names": b"0 0 * JAN-mar Mon,tue x\n",
    "lists": b"1,2,3,5-9/2 0,12 */2 1-6 1-5 x\n",
    "a day that never comes": b"0 0 31 2 * x\n",
    "days of both kinds": b"0 0 13 * 5 x\n0 0 */2 * 0 y\n",
    "words with an at": b"@daily x\n@reboot y\n@annually z\n@midnight  w\n",
    "an unknown word with an at": b"@every_minute A=1 x\n",
    "a last day that cron has not": b"0 0 L * * FOO=1 /x\n",
    "seconds that cron has not": b"0 0 1 * * * x\n",
    # commands
    "a hash in quotes": b"0 1 * * * grep -v \" #\" f\n0 2 * * * curl \"u #frag\" --foo\n",
    "a hash behind the command": b"0 1 * * * x # every night\n",
    "percent signs": b"0 1 * * * mail root%body # x%more\n0 2 * * * date +\\%Y\\%m\n",
    "backslashes": b"0 1 * * * echo a\\\\b \\\\\\% \\\n",
    "all quotes": b"0 1 * * * echo 'a \"b\" c' \"d 'e' f\" `g` $(h) \\'i\n",
    "no command": b"0 1 * * *\n0 2 * * * \n",
    "a very long command": b"0 1 * * * echo " + b"x" * 990 + b"\n",
    "assignments before the command": b"0 1 * * * A=1 B='c d' x\n",
    "a shell's whole grammar": b"0 1 * * * for i in 1 2; do echo $i && { a || b; } >/dev/null 2>&1 & done\n",
    # white space
    "tabs": b"\t0\t1\t*\t*\t*\tx\ty\n",
    "spaces in front and behind": b"   0  1   *  * *    x   y   \n",
    "a form feed": b"0 1 * * * x\x0c\n\x0b0 2 * * * y\n",
    # bytes
    "carriage returns": b"# dos\r\nMAILTO=me\r\n0 1 * * * x\r\n\r\n",
    "some carriage returns": b"0 1 * * * x\r\n0 2 * * * y\n0 3 * * * z\rw\n",
    "latin-1": b"# \xe9t\xe9\n0 1 * * * echo caf\xe9 > /tmp/\xfc\nNAME=\xe4\n",
    "utf-8": "# été ✓\n0 1 * * * echo ☕\n".encode(),
    "a byte order mark": b"\xef\xbb\xbf0 1 * * * x\n",
    "control characters": b"0 1 * * * printf '\x1b[31m\x07'\n# \x00 zero\n",
    "no final line feed": b"0 1 * * * x",
    "no final line feed in a comment": b"0 1 * * * x\n# end",
    "spaces for a last line": b"0 1 * * * x\n   ",
    "equal lines": b"0 1 * * * x\n0 1 * * * x\n0 1 * * * x\n",
    "jobs that differ in the day": b"0 1 1 * * x\n0 1 2 * * x\n",
    # what looks like mltop's
    "lines like markers": b"#" + BEGIN[2:] + b"\n# >>> mltop managed >>>\n " + BEGIN + b"\n0 1 * * * x\n",
    "a marker in a command": b"0 1 * * * echo '" + BEGIN + b"'\n",
    "a paused line": b"# mltop:off 0 1 * * * x\n# mltop:offer\n",
    "an adopted line": b"# mltop:adopted:other 0 1 * * * x\n",
    "another config's block": b"%b\n0 1 * * * /opt/mltop run a --config /srv/b.toml # mltop:v1:000000000000\n%b\n"
    % (BEGIN, END),
    "a stranger in the block": b"0 1 * * * x\n" + BEGIN + b"\n0 9 * * * stranger\n\n" + END + b"\nA=1\n",
    "a block in the middle": b"# above\n" + BEGIN + b"\n# kept\n" + END + b"\n0 1 * * * below\n",
    # size
    "five thousand lines": b"".join(b"%d %d * * 0 job-%d # n=%d\n" % (i % 60, i % 24, i, i) for i in range(5000)),
}  # fmt: skip
