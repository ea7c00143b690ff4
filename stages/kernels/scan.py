"""Finds personal data in UTF-8 texts in one pass, in time linear in their length.

A byte that no personal data needs costs one look into a table. At an `@`, or where a number may
begin, at most a hundred bytes around it are compared with the shapes of a `Plan`.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.checksums import is_card, is_cnpj, is_cpf, is_iban, public_ipv4, public_ipv6
from stages.kernels.mail import ALNUM, GAP, JOIN, LETTER, email

Bytes: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.int64]
Hashes: TypeAlias = npt.NDArray[np.uint64]
Masks: TypeAlias = npt.NDArray[np.uint32]
Span: TypeAlias = tuple[int, int, int]  # type, start, stop

EMAIL, PHONE, IPV4, IPV6, CARD, IBAN, CPF, CNPJ = range(8)
AT, DIGIT, OPEN, PLUS, SLASH = range(1, 6)  # what a byte may be the beginning or the middle of
NOTHING = (-1, 0, 0)
RUN_MOST = 20  # digits in a row: longer ones are no number of a person
WINDOW = 40  # bytes before a number in which a word may say what it is
BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a


class Plan(NamedTuple):
    """What to look for, as arrays (see `stages.pii.patterns.plan`)."""

    kinds: Bytes  # per byte: AT, DIGIT ... or 0
    bytes: Bytes  # per byte: the bits of `stages.kernels.mail`
    begins: npt.NDArray[np.bool_]  # per digits in a row and byte after them: may be something
    wanted: npt.NDArray[np.bool_]  # per type
    international: bool  # phones that begin with +
    sets: Masks  # per byte: the sets of template items it is in
    items: Masks  # per item of a template: the set it must be in
    optional: npt.NDArray[np.bool_]  # per item
    places: Numbers  # first item of every template, and one more
    types: Numbers  # per template
    context: npt.NDArray[np.bool_]  # per template: a word before it must say what it is
    starts: Numbers  # first template for so many digits in a row, and two more
    phone_words: Hashes
    company_words: Hashes
    version_words: Hashes
    address_words: Hashes
    iban_lengths: Numbers  # by country, 26 * first letter + second; 0: none


@njit(cache=True)
def scan(offsets: Numbers, data: Bytes, plan: Plan) -> Numbers:
    """Every span as (row, type, start, stop): places in `data`, in order, none overlapping."""
    spans = np.empty((1024, 4), np.int64)
    count = 0
    digits = np.empty(RUN_MOST + 20, np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        first = count
        at = floor = start  # an address never begins before the end of the one before
        while at < end:
            at = skip(plan.kinds, plan.begins, plan.bytes, data, start, at, end)
            if at == end:
                break
            kind = plan.kinds[data[at]]
            found, begin, stop = look(
                kind, data, floor if kind == AT else start, at, end, plan, digits
            )
            if found == EMAIL:
                floor = stop
                while count > first and spans[count - 1, 3] > begin:
                    count -= 1  # what looked like a number was the address's beginning
            if found >= 0 and (count == first or spans[count - 1, 3] <= begin):
                if count == len(spans):
                    spans = np.concatenate((spans, np.empty_like(spans)))
                spans[count] = row, found, begin, stop
                count += 1
                at = stop
            else:
                at += 1
                while kind == DIGIT and at < end and plan.bytes[data[at]] & ALNUM:
                    at += 1
    return spans[:count]


@njit(cache=True)
def skip(
    kinds: Bytes,
    begins: npt.NDArray[np.bool_],
    table: Bytes,
    data: Bytes,
    start: int,
    at: int,
    end: int,
) -> int:
    """The next byte at which something may be found, or the end.

    Most digits are passed here: by how many are in a row, and by what follows them.
    """
    while at < end:
        kind = kinds[data[at]]
        after = data[at + 1] if at + 1 < end else np.uint8(0)
        if kind == DIGIT:
            if at > start and table[data[at - 1]] & ALNUM:
                if 0x41 <= data[at - 1] <= 0x5A:
                    return at
            else:
                run = 1
                while run < RUN_MOST and at + run < end and is_digit(data[at + run]):
                    run += 1
                mark = data[at + run] if at + run < end else np.uint8(0)
                if begins[run, mark] and (run >= 8 or goes_on(mark, data, at + run + 1, end)):
                    return at
            while at < end and table[data[at]] & ALNUM:
                at += 1
            continue
        if kind == SLASH:
            if at - start >= 10 and data[at - 4] == 0x2E and data[at - 8] == 0x2E:
                return at
        elif kind == AT or (kind != 0 and is_digit(after)):
            return at
        at += 1
    return end


@njit(cache=True)
def goes_on(mark: np.uint8, data: Bytes, at: int, end: int) -> bool:
    """Whether what follows a separator may be more of a number; true if it is no separator."""
    if mark not in (0x20, 0x2D, 0x2E, 0x2F):
        return True
    if at >= end:
        return False
    byte = data[at]
    return bool(is_digit(byte) or byte == 0x28 or (mark == 0x2E and 0x41 <= byte <= 0x5A))


@njit(cache=True)
def look(
    kind: int, data: Bytes, start: int, at: int, end: int, plan: Plan, digits: Numbers
) -> Span:
    """What is there, if anything: type, start, stop."""
    if kind == AT:
        begin, stop = email(data, start, at, end, plan.bytes)
        return (EMAIL, begin, stop) if stop > 0 else NOTHING
    if kind == SLASH:  # 12.ABC.345/01DE-35 may begin with a letter
        return templates(data, start, at - 10, end, 0, plan, digits, True)
    if at > start and plan.bytes[data[at - 1]] & ALNUM:
        return code(data, start, at, end, plan, digits) if kind == DIGIT else NOTHING
    if kind == PLUS:
        if at > start and data[at - 1] in (0x2B, 0x7E):
            return NOTHING
        return international(data, at, end, plan, digits)
    if kind == OPEN:
        return templates(data, start, at, end, 0, plan, digits, False)
    if at > start + 1 and plan.bytes[data[at - 1]] & JOIN and is_digit(data[at - 2]):
        return NOTHING  # in the middle of a longer number
    run = 0
    while run < RUN_MOST and at + run < end and is_digit(data[at + run]):
        run += 1
    return number(data, start, at, end, run, plan, digits)


@njit(cache=True)
def number(
    data: Bytes, start: int, at: int, end: int, run: int, plan: Plan, digits: Numbers
) -> Span:
    """The number that begins here with so many digits in a row."""
    if plan.wanted[IPV4] and run <= 3 and at + run < end and data[at + run] == 0x2E:
        stop = public_ipv4(data, at, end)
        if (
            stop > 0
            and is_over(data, stop, end, plan)
            and not is_version(data, start, at, stop, end, plan)
        ):
            return IPV4, at, stop
    if plan.wanted[IPV6] and 0x32 <= data[at] <= 0x33:
        stop = public_ipv6(data, at, end)
        if stop > 0 and is_over(data, stop, end, plan):
            return IPV6, at, stop
    mixed = at + run < end and plan.bytes[data[at + run]] & ALNUM != 0
    found = templates(data, start, at, end, 0 if mixed else run, plan, digits, mixed)
    if found[0] >= 0 and found[0] != PHONE:
        return found
    if plan.wanted[CARD] and (run == 4 or run >= 12):
        stop = card(data, at, end, digits)
        if stop > 0 and is_over(data, stop, end, plan):
            return CARD, at, stop
    return found


@njit(cache=True)
def templates(
    data: Bytes, start: int, at: int, end: int, run: int, plan: Plan, digits: Numbers, mixed: bool
) -> Span:
    """The first template that fits here, of those that begin with so many digits in a row.

    `mixed`: only the codes that begin with a letter.
    """
    if at < start or (at > start and plan.bytes[data[at - 1]] & ALNUM):
        return NOTHING
    for which in range(plan.starts[run], plan.starts[run + 1]):
        kind = plan.types[which]
        if mixed and kind != CNPJ:
            continue
        stop, size = fit(data, at, end, which, plan, digits)
        if stop < 0 or not is_over(data, stop, end, plan):
            continue
        if kind == CPF and not is_cpf(digits):
            continue
        if kind == CNPJ and not is_cnpj(digits):
            continue
        words = plan.phone_words if kind == PHONE else plan.company_words
        if size and (not plan.context[which] or near(data, start, at, 8, words)):
            return kind, at, stop
    return NOTHING


@njit(cache=True)
def fit(data: Bytes, at: int, end: int, which: int, plan: Plan, digits: Numbers) -> tuple[int, int]:
    """Where the template stops, or -1, and how many letters and digits it took into `digits`."""
    size = 0
    for item in range(plan.places[which], plan.places[which + 1]):
        if at < end and plan.sets[data[at]] & plan.items[item]:
            if plan.bytes[data[at]] & ALNUM:
                digits[size] = np.int64(data[at]) - 48
                size += 1
            at += 1
        elif not plan.optional[item]:
            return -1, 0
    return at, size


@njit(cache=True)
def code(data: Bytes, start: int, at: int, end: int, plan: Plan, digits: Numbers) -> Span:
    """An IBAN or a company's number that begins with letters, found by its first digit."""
    begin = at
    while begin > start and at - begin < 13 and plan.bytes[data[begin - 1]] & ALNUM:
        begin -= 1
    if plan.wanted[IBAN] and at - begin == 2:
        stop = is_iban(data, begin, end, plan.iban_lengths)
        if stop > 0 and is_over(data, stop, end, plan):
            return IBAN, begin, stop
    return templates(data, start, begin, end, 0, plan, digits, True)


@njit(cache=True)
def card(data: Bytes, at: int, end: int, digits: Numbers) -> int:
    """Where a card's number stops: in one run, or in groups with one and the same separator."""
    begin, stop, size, run = at, -1, 0, 0
    mark = np.uint8(0)
    while at < end and size <= 19:
        if is_digit(data[at]):
            digits[size] = np.int64(data[at]) - 48
            size += 1
            run += 1
            at += 1
            if at < end and is_digit(data[at]):
                continue
        if is_card(digits, size):
            stop = at
        if at + 1 >= end or data[at] not in (0x20, 0x2D) or not is_digit(data[at + 1]):
            break
        if (mark and data[at] != mark) or (at - begin == 4) != (mark == 0) or run < 4:
            break
        mark = data[at]
        run = 0
        at += 1
    return stop


@njit(cache=True)
def international(data: Bytes, at: int, end: int, plan: Plan, digits: Numbers) -> Span:
    """A phone number in the form of E.164: +, country, at most 15 digits, with separators."""
    if not plan.international:
        return NOTHING
    begin, size, stop, whole = at, 0, 0, 16
    at += 1
    while at < end and size < whole:
        if is_digit(data[at]):
            if size == 15:
                return NOTHING
            digits[size] = np.int64(data[at]) - 48
            size += 1
            stop = at + 1
            whole = length(digits, size, whole)
        elif (
            plan.bytes[data[at]] & GAP == 0
            or at - stop >= 2
            or size == 0
            or (whole == 16 and size >= 11 and data[at] == 0x20)
        ):
            break
        at += 1
    right = size == whole if whole < 16 else size >= 9
    right = right and not (stop < end and data[stop] == 0x2B)  # 2022+20220202+1: a version
    if right and digits[0] > 0 and is_over(data, stop, end, plan):
        return PHONE, begin, stop
    return NOTHING


@njit(cache=True)
def length(digits: Numbers, size: int, whole: int) -> int:
    """How many digits a number has in all, by its first ones, where that is fixed."""
    if size == 1 and digits[0] == 1:
        return 11
    if digits[0] == 3 and digits[1] == 5 and size == 3 and digits[2] == 1:
        return 12
    if digits[0] == 5 and digits[1] == 5:
        if size == 2:
            return 12
        trunk = int(digits[2] == 0)  # +55 (011)
        if size == 3:
            return 12 + trunk
        if size == 5 + trunk and digits[size - 1] == 9:  # mobile
            return 13 + trunk
    return whole


@njit(cache=True, inline="always")
def is_digit(byte: np.uint8) -> bool:
    """Whether a byte is an ASCII digit."""
    return bool(0x30 <= byte <= 0x39)


@njit(cache=True)
def is_over(data: Bytes, stop: int, end: int, plan: Plan) -> bool:
    """Whether nothing that belongs to a number follows it."""
    if stop >= end:
        return True
    if plan.bytes[data[stop]] & ALNUM:
        return False
    return not (data[stop] in (0x2E, 0x2D) and stop + 1 < end and is_digit(data[stop + 1]))


@njit(cache=True)
def is_version(data: Bytes, start: int, at: int, stop: int, end: int, plan: Plan) -> bool:
    """Whether four numbers with dots are a version: `Chrome/99.0.0.1`, `foo-1.2.3.4.tar`, `2:1.2.3.4`."""
    if stop < end and data[stop] in (0x2B, 0x7E):
        return True
    if stop + 1 < end and data[stop] in (0x2E, 0x2D) and plan.bytes[data[stop + 1]] & ALNUM:
        return True
    if at > start + 1:
        before, mark = data[at - 2], data[at - 1]
        if mark == 0x2D or (mark == 0x2F and plan.bytes[before] & LETTER):
            return True
        if mark == 0x3A and is_digit(before):
            return True
    small = True  # 6.2.4.1 is more often a section than an address
    number = np.int64(0)
    for place in range(at, stop):
        number = number * 10 + np.int64(data[place]) - 48 if is_digit(data[place]) else np.int64(0)
        small = bool(small and number < 32)
    if small and not near(data, start, at, 4, plan.address_words):
        return True
    return near(data, start, at, 1, plan.version_words)


@njit(cache=True)
def near(data: Bytes, start: int, at: int, most: int, words: Hashes) -> bool:
    """Whether one of the last so many words before `at` is one of these (see `hash_word`)."""
    least = max(start, at - WINDOW)
    value, inside = BASIS, False
    while at >= least:
        at -= 1
        byte = np.uint8(data[at] | 0x20) if at >= least else np.uint8(0)
        if 0x61 <= byte <= 0x7A or byte >= 0x80:
            value = (value ^ np.uint64(byte)) * PRIME
            inside = True
        elif inside:
            for word in words:
                if word == value:
                    return True
            most -= 1
            if most == 0:
                return False
            value, inside = BASIS, False
    return False
