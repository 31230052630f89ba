"""Lines of a file of /etc/cron.d, and what Debian's cron (3.0pl1) did with a file that ends in them."""

from __future__ import annotations

import random

TAKEN = [
    b"*/61 * * * * root true\n",
    b"0~30 * * * * root true\n",
    b"5-1 * * * * root true\n",
    b"1-2-3 * * * * root true\n",
    b"*5 * * * * root true\n",
    b"*-5 * * * * root true\n",
    b"* * 31 2 * root true\n",
    b"000000005 * * * * root true\n",
    b"0 0 * JaN MoN-fri root true\n",
    b"0 0 * * fri-sun root true\n",
    b"# end",
    b"\t0\t0\t*\t*\t*\troot\ttrue\n",
    b"* * * * * root \n",
    b"* * * * * root true\r\n",
    b"@reboot root true\n",
    b"* * * * * root " + b"x" * 998 + b"\n",
    b"A = b\n",
    b'MAILTO=""\n',
    b'"A B" = c\n',
    b"=b\n",
    b"1=2\n",
    b'A="b" \r\n',
    b"A=" + b"x" * 1200 + b"\n",
    b"# \x00 x\n",
    b"   \t\n",
    b"   ",
    b"* * * * * root %x\n",
    b"A='b\"'\n",
    b'A"=b\n',
]
"""Lines of a file of /etc/cron.d after which Debian's cron (3.0pl1) ran what stands before them."""

REFUSED = {
    b"*/0 * * * * root true\n": '"*/0" is no minute',
    b"5/10 * * * * root true\n": "minute",
    b"~ * * * * root true\n": "minute",
    b"70-60 * * * * root true\n": "minute",
    b"0, * * * * root true\n": "minute",
    b"-*/5 * * * * root true\n": "minute",
    b"*/x * * * * root true\n": "minute",
    b"1-9/2x * * * * root true\n": "minute",
    b"* 24 * * * root true\n": "hour",
    b"0 0 7-0 * * root true\n": "day of the month",
    b"0 0 L * * root true\n": "day of the month",
    b"0 0 * january * root true\n": "month",
    b"0 0 * * 8 root true\n": "week",
    b"* * * * root true\n": "week",
    b"0 0 1 * * * root true\n": "no user *",
    b"@every_minute root true\n": "@every_minute",
    b"@Daily root true\n": '"@Daily" is no time',
    b"* * * * * nosuch true\n": "no user nosuch",
    b"* * * * * root\n": "no command",
    b"@daily\n": "no user",
    b"* * * * * root true": "no line end",
    b"A=b": "no line end",
    b"\r\n": "minute",
    b"\xc2\xa0\n": "minute",
    b"MAILTO=\n": "minute",
    b"A='b' c\n": "minute",
    b'A="b\n': "minute",
    b"A=\r\n": "minute",
    b"\x0b* * * * * root true\n": "minute",
    b"\xef\xbb\xbf* * * * * root true\n": "minute",
    b"* * * * * root  " + b"x" * 998 + b"\n": "too long",
    b"nonsense\n": '"nonsense" is no minute',
    b"\x0cA=b\n": "minute",
}
"""Lines after which it ran nothing of the file, and what is wrong with them."""

_FIELDS = b"""
* 0 5 59 60 7 8 mon MON-fri jan 1-5 5-1 70-60 1-70 */5 */0 */70 1-9/2 1-9/0 1,2,3 1, ,1 1- -1 1--2 *,* */5,3 1-2-3,4
*5,61 1-2x 1x x1 0x1 1.5 1/2,3 ~ 1~5 ? L #1 mon#1 sun-sat 7-0 0-7 1-5/2/3 */2/0 1-mon mon-1 00 */05 */1x 12-2/3
""".split()
_USERS = (b"root", b"root", b"root", b"daemon", b"nosuch", b"0", b"root:", b"ROOT", b"*", b"@x")
_COMMANDS = (b"true", b"true", b"true", b"", b"%", b"# x", b"x" * 998, b"x" * 999, b"x\r", b"A=1")
_OTHERS = (
    b'A="x" ', b"A='x", b"'A'='b'", b"'A=B'=c", b"A B=c", b"A = ", b"A\t=\tb", b"A=b=c", b'"A"B=c', b"=", b"= x",
    b"A=' '", b'A=""x', b'A="b"\r', b"A\r=b", b"A=\x0c", b"''=x", b"A==", b"\xe9=1", b"A=\x80", b"a b", b" \r",
)  # fmt: skip


def made(seed: int, count: int) -> list[bytes]:
    """Lines of such pieces as cron's readers differ in."""
    chance = random.Random(seed)
    pick = chance.choice
    found = []
    for _ in range(count):
        if chance.random() < 0.15:
            found.append(pick(_OTHERS) + pick((b"\n", b"\n", b"")))
            continue
        words = [b"*"] * pick((5,) * 12 + (4, 6))
        for place in chance.sample(range(len(words)), pick((1, 1, 2))):
            words[place] = pick(_FIELDS)
        if chance.random() < 0.08:
            words = [pick((b"@daily", b"@DAILY", b"@reboot", b"@x", b"@", b"@dailyx", b"@midnight"))]
        blanks = [pick((b" ", b" ", b"\t", b"  ", b" \t")) for _ in range(len(words) + 1)]
        pieces = [*words, pick(_USERS), pick(_COMMANDS)]
        text = b"".join(word + blank for word, blank in zip(pieces, [*blanks, b""], strict=True))
        found.append(pick((b"", b"", b" ", b"\t")) + text + pick((b"\n",) * 9 + (b"", b"\r\n")))
    return found
