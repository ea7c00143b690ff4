# ruff: noqa: RUF001 -- confusable characters are what is repaired
"""Undoing what careless extraction and wrong decoding leave in text, one document at a time."""

import re
from collections import Counter
from functools import cache
from html import unescape
from html.entities import html5

# Elements that mark up prose, and that a page's author or a feed leaves in it.
BLOCKS = "p|div|br|hr|li|ul|ol|dl|dt|dd|h[1-6]|blockquote|center|table|tbody|thead|tr|td|th"
INLINE = "a|b|i|u|s|em|strong|strike|font|span|sup|sub|small|big|img|wbr|abbr|cite|mark"
ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,31});")
# What a document must hold to be looked at; RE2, over whole columns. Few do.
MARKED = rf"{ENTITY.pattern}|(?i:</?(?:{BLOCKS}|{INLINE})[\s/>])"
UNPAIRED = {"br", "hr", "img", "wbr", "p", "li"}  # they need no end
TAG = re.compile(
    rf"<(/?)({BLOCKS}|{INLINE})"
    r"""(?:\s++[\w:-]++\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'|[^\s"'<>=`]++))*+\s*+/?>""",
    re.IGNORECASE | re.ASCII,
)
RUN = re.compile(rf"(?:{TAG.pattern})+", re.IGNORECASE | re.ASCII)
BLOCK = re.compile(
    rf"(?<![ \t])[ \t]*+(?=</?(?:{BLOCKS})[\s/>])(?:{TAG.pattern})[ \t]*+\n?",
    re.IGNORECASE | re.ASCII,
)
MARKUP = re.compile(r"<[A-Za-z/!?]")

# What is shown as a picture: Emoji_Presentation of Unicode 17 with its neighbours of the same blocks,
# signs that a selector or skin tone makes one, and what joiners, tones and tags make of several.
PICTURE = (
    "[⌚⌛⏩-⏬⏰⏳◽◾☔☕♈-♓♿⚓⚡⚪⚫⚽⚾⛄⛅⛎⛔⛪⛲⛳⛵⛺⛽✅✊✋✨❌❎❓-❕❗➕-➗➰➿⬛⬜⭐⭕"
    "\U0001f004\U0001f0cf\U0001f18e\U0001f191-\U0001f19a\U0001f1e6-\U0001f1ff\U0001f201\U0001f21a"
    "\U0001f22f\U0001f232-\U0001f236\U0001f238-\U0001f23a\U0001f250\U0001f251\U0001f300-\U0001f64f"
    "\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7f0\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff]"
)
SIGN = "[©®‼⁉™ℹ←-⇿⌀-⏿Ⓜ▪-➿⤀-⥿⬀-⯿〰〽㊗㊙\U0001f170-\U0001f17f\U0001f202\U0001f237]"
TONES = "\U0001f3fb-\U0001f3ff"
REST = f"[\ufe0f{TONES}\u20e3\U000e0020-\U000e007f]*"
EMOJI = (
    f"(?:{PICTURE}|{SIGN}[\ufe0f{TONES}]){REST}(?:\u200d(?:{PICTURE}|{SIGN}){REST})*|\ufe0f?\u20e3"
)

OPENING = "\"'`(\\[«“‘„\u2039"
CLOSING = "\"'`)\\]»”’\u203a.,;:!?\uff0c\u3002"
BEFORE = re.compile(rf"(?:^|[\s{OPENING}])\Z")
AFTER = re.compile(rf"[{CLOSING}]")


def unmark(text: str) -> str:
    """The text without tags and entities that extraction left in it.

    A text that speaks of markup, or shows code, stays as it is: one with any `<` before a letter,
    `/`, `!` or `?` that is no tag of prose, with a tag that stands free between blanks or quotes, with
    an element that does not end, or with more in tags than beside them on their lines. An entity
    needs its semicolon, and stays where it is spoken of: after a blank or opening quote and before
    a mark or closing quote.
    """
    tags = list(TAG.finditer(text))
    if len(MARKUP.findall(text)) != len(tags):
        return text
    if tags:
        if not _left_over(text, tags):
            return text
        text = TAG.sub("", BLOCK.sub("\n", text))
    return ENTITY.sub(_decoded, text)


def _left_over(text: str, tags: list[re.Match[str]]) -> bool:
    """Whether the tags mark up prose, and the text does not speak of them."""
    balance: Counter[str] = Counter()
    for tag in tags:
        balance[tag[2].lower()] += -1 if tag[1] else 1
    if any(many for name, many in balance.items() if name not in UNPAIRED):
        return False
    for run in RUN.finditer(text):
        before = text[run.start() - 1 : run.start()]
        after = text[run.end() : run.end() + 1]
        if BEFORE.match(before) and (not after.strip() or AFTER.match(after)):
            return False
    marked = sum(len(tag[0]) for tag in tags)
    lines = [line for line in text.split("\n") if "<" in line]
    return sum(map(len, lines)) >= 2 * marked


def _decoded(entity: re.Match[str]) -> str:
    text, start, stop = entity.string, entity.start(), entity.end()
    name = entity[0]
    if name[1] != "#" and name[1:] not in html5:
        return name
    if BEFORE.match(text[max(0, start - 1) : start]) and AFTER.match(text[stop : stop + 1]):
        return name
    character = unescape(name)
    return name if character == "\ufffd" else character


def decode_again(text: str) -> str:
    """The text with UTF-8 that was read as another encoding read rightly, line by line, by ftfy."""
    from ftfy import fix_encoding

    return "\n".join(line if line.isascii() else fix_encoding(line) for line in text.split("\n"))


def _upper_half(encoding: str) -> str:
    """The characters of the bytes 0x80 to 0xBF, those that go on a character in UTF-8."""
    return "".join(bytes([byte]).decode(encoding, "replace") for byte in range(0x80, 0xC0))


@cache
def mojibake() -> str:
    """What a document must hold that is UTF-8 read as Windows-1252, Latin-1 or Windows-1251; RE2.

    A capital with an accent and a sign behind it may be good text in capitals (`MANHÃ…`, `L'UNITÉ»`,
    `30 Å²`, `Úžas`): what is ambiguous needs a small letter beside it, or a second such pair.
    """
    controls = "\x80-\x84\x86-\x9f"
    latin = controls + "\x85\xa0-\xbf" + _upper_half("cp1252").replace("\ufffd", "")
    signs = "\xa0\xad…‚„‘’“”•–—™‹›«»®·°²³¹¼½¾"
    rare = "ƒ†‡ˆ‰Š‹ŒŽ˜šœžŸ€¡¢£¤¥¦§¨©ª¬¯±´µ¶¸º¿"
    cyrillic = _upper_half("cp1251").replace("\ufffd", "\x98")
    patterns = (
        f"[{controls}]",
        f"Ã[{rare}]",
        "Â[¡¢£¤¥¦§¨©ª«¬¯±´µ¶¸º°¿]",
        f"[a-z][ÂÃÄÅÈ][{latin}]",
        f"(?:^|\\PL|[A-Z])Ã[{signs}][a-z]",
        f"(?:^|\\PL)[ÄÅÈ][{latin}][a-z]",
        "(?:^|\\PL)Ã\xa0",
        f"[a-z0-9.,;:!?)%\\s]Â[{signs}]",
        f"[Â-Þ][{latin}][Â-Þ][{latin}]",
        f"â[{rare}][{latin}]|â[{signs}][{rare}]",
        f"[à-ï][{latin}]{{2}}[à-ï][{latin}]{{2}}",
        "ðŸ|вЂ",
        f"(?:[РС][{cyrillic}]){{4}}",
    )
    return "|".join(patterns)
