"""Check digits and address ranges: what tells a number of a person from any other number.

Sources: ISO/IEC 7812 (cards), ISO 13616 (IBAN), Receita Federal (CPF, CNPJ; IN 2.229/2024 for
letters in a CNPJ), the registries of special addresses of IANA.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.int64]


@njit(cache=True)
def is_cpf(digits: Numbers) -> bool:
    """Whether the last two of eleven digits are the check digits of the others."""
    return differ(digits, 11) and weighted(digits, 9, 11) and weighted(digits, 10, 11)


@njit(cache=True)
def is_cnpj(digits: Numbers) -> bool:
    """Whether the last two of fourteen are check digits; a letter counts as its ASCII code - 48."""
    return differ(digits, 14) and weighted(digits, 12, 9) and weighted(digits, 13, 9)


@njit(cache=True)
def differ(digits: Numbers, size: int) -> bool:
    """Whether not all are the same: such numbers check, and are nobody's."""
    same = 0
    for at in range(size):
        same += digits[at] == digits[0]
    return same < size


@njit(cache=True)
def weighted(digits: Numbers, size: int, heaviest: int) -> bool:
    """Whether the next digit is the sum modulo 11, weighted from the right: 2, 3 ... `heaviest`, 2 ..."""
    total, weight = 0, 2
    for at in range(size - 1, -1, -1):
        total += digits[at] * weight
        weight = 2 if weight == heaviest else weight + 1
    rest = total % 11
    return bool(digits[size] == (0 if rest < 2 else 11 - rest))


@njit(cache=True)
def is_card(digits: Numbers, size: int) -> bool:
    """Whether a network gives out numbers of this beginning and length, and Luhn's sum is right."""
    if size < 12 or size > 19:
        return False
    head = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    pair = head // 100
    known = False
    if size == 16:
        known = 2221 <= head <= 2720 or 51 <= pair <= 55 or pair == 35 or head == 3841
    if size == 15:
        known = pair in (34, 37) or head in (2131, 1800)
    if size == 14:
        known = 3000 <= head <= 3059 or pair in (36, 38, 39)
    if size in (13, 16, 19):
        known = known or digits[0] == 4
    if size >= 16:  # Discover, UnionPay, Elo, Hipercard
        known = known or digits[0] == 6
    if pair in (50, 56, 57, 58, 63, 67) or head == 604:  # Maestro
        known = True
    if not known:
        return False
    total = 0
    for at in range(size):
        value = digits[size - 1 - at] * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@njit(cache=True)
def is_iban(data: Bytes, at: int, end: int, lengths: Numbers) -> int:
    """Where the IBAN that begins here stops, or -1: length by country, modulo 97 of all."""
    first, second = np.int64(data[at]) - 65, np.int64(data[at + 1]) - 65
    if not (0 <= first < 26 and 0 <= second < 26):
        return -1
    length = lengths[first * 26 + second]
    head = (first + 10) * 100 + second + 10
    size, rest, checks = 2, np.int64(0), np.int64(0)
    at += 2
    while at < end and size < length:
        byte = np.int64(data[at])
        if 48 <= byte < 58 and size < 4:
            checks = checks * 10 + byte - 48
        elif 48 <= byte < 58:
            rest = (rest * 10 + byte - 48) % 97
        elif 65 <= byte < 91 and size >= 4:
            rest = (rest * 100 + byte - 55) % 97
        elif byte in (0x20, 0x2D) and size % 4 == 0 and data[at - 1] not in (0x20, 0x2D):
            at += 1
            continue
        else:
            return -1
        size += 1
        at += 1
    whole = ((rest * 10_000 + head) * 100 + checks) % 97
    return at if length > 0 and size == length and whole == 1 else -1


@njit(cache=True)
def public_ipv4(data: Bytes, at: int, end: int) -> int:
    """Where the IPv4 address that begins here stops, or -1 if it is none or not of the public net."""
    value = np.int64(0)
    for part in range(4):
        number, size = np.int64(0), 0
        while at < end and size < 4 and 0x30 <= data[at] <= 0x39:
            number = number * 10 + np.int64(data[at]) - 48
            size += 1
            at += 1
        leading = size > 1 and number < 10 ** (size - 1)
        if size == 0 or number > 255 or leading:
            return -1
        value = value * 256 + number
        if part < 3:
            if at >= end or data[at] != 0x2E:
                return -1
            at += 1
    top, pair, triple = value >> 24, value >> 16, value >> 8
    reserved = top in (0, 10, 127) or top >= 224 or pair in (0xA9FE, 0xC0A8, 0xC612, 0xC613)
    reserved = reserved or 0xAC10 <= pair <= 0xAC1F or 0x6440 <= pair <= 0x647F
    reserved = reserved or triple in (0xC00000, 0xC00002, 0xC05863, 0xC63364, 0xCB0071)
    return -1 if reserved else at


@njit(cache=True)
def public_ipv6(data: Bytes, at: int, end: int) -> int:
    """Where the IPv6 address that begins here stops, or -1 if it is none or not global unicast.

    Those of 2000::/3 are, but for 2001::/23 (protocols), 2001:db8::/32, 3fff::/20 (documentation).
    """
    groups, gap, head = 0, -1, np.int64(0)
    while groups < 8:
        number, size = np.int64(0), 0
        while at < end and size < 5 and hexadecimal(data[at]) >= 0:
            number = number * 16 + hexadecimal(data[at])
            size += 1
            at += 1
        if size == 0 and (groups == 0 or gap != groups):
            return -1
        if size > 4:
            return -1
        if size == 0:
            break
        if groups < 2:
            head = head | number << (16 * (1 - groups))
        groups += 1
        if groups == 8 or at >= end or data[at] != 0x3A:
            break
        if at + 1 < end and data[at + 1] == 0x3A:
            if gap >= 0:
                return -1
            gap = groups
            at += 2
        elif at + 1 < end and hexadecimal(data[at + 1]) >= 0:
            at += 1
        else:
            break  # a colon that ends a clause
    if (gap < 0 and groups != 8) or (gap >= 0 and groups > 7):
        return -1
    if at < end and data[at] == 0x3A and at + 1 < end and hexadecimal(data[at + 1]) >= 0:
        return -1
    first = head >> 16
    special = head >> 9 == 0x20010000 >> 9 or head == 0x20010DB8 or head >> 12 == 0x3FFF0
    return at if 0x2000 <= first < 0x4000 and not special else -1


@njit(cache=True, inline="always")
def hexadecimal(byte: int) -> int:
    """The value of a hexadecimal digit, or -1."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    if 0x61 <= byte | 0x20 <= 0x66:
        return (byte | 0x20) - 0x57
    return -1
