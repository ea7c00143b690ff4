"""What personal data looks like: the shapes, words and lengths that the scan goes by, as data."""

from functools import cache
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from stages.kernels import mail, scan
from stages.kernels.scan import Plan

Type: TypeAlias = Literal["email", "phone", "ipv4", "ipv6", "card", "iban", "cpf", "cnpj"]
Region: TypeAlias = Literal["international", "pt-BR", "pt-PT", "en-US"]
TYPES: tuple[Type, ...] = get_args(Type)  # in the order of the constants of `stages.kernels.scan`
REGIONS: tuple[Region, ...] = get_args(Region)


class Template(NamedTuple):
    """A shape of a number.

    `d` is a digit, `P` one of 1-9, `N` one of 2-9, `X` a digit or capital; `[...]` one of these
    (`2-5` a range), anything else itself; `?` makes the item before it optional, and what is there
    is always taken. With `context`, a word before it must say what it is.
    """

    type: Type
    shape: str
    context: bool = False
    region: Region | None = None


CODES = (
    Template("cpf", "ddd.ddd.ddd[-./ ]?dd"),
    Template("cpf", "ddd ddd ddd[- ]dd"),
    Template("cpf", "ddddddddd[-/]dd"),
    Template("cpf", "ddddddddddd"),
    Template("cnpj", "dd.XXX.XXX/XXXX-?dd"),
    Template("cnpj", "XX.XXX.XXX/XXXX-?dd"),
    Template("cnpj", "dddddddd/dddd-?dd"),
    Template("cnpj", "dddddddddddd-?dd"),
    Template("cnpj", "XXXXXXXXXXXXdd", context=True),
)
# The plans of numbering of Anatel (pt-BR), Anacom (pt-PT) and the NANPA (en-US). A shape that
# other things have too (a bare run of digits, groups with blanks) counts only in context.
PHONES: dict[Region, tuple[tuple[str, bool], ...]] = {
    "pt-BR": (
        *((f"(0?PP)[- ]?{number}", False) for number in ("9[. ]?dddd[-. ]?dddd", "[2-8]ddd[-. ]?dddd")),
        *((f"{area}9[. ]?dddd[-.]dddd", False) for area in ("PP[ .-]", "PP", "0PP[ .-]")),
        *((f"{area}{first}dd[-.]dddd", False) for area in ("PP[ .-]", "0PP[ .-]") for first in ("[345]d", "2[1-9]")),
        *((f"{area}9[. ]?dddd[-. ]?dddd", True) for area in ("PP[ .-]", "PP", "0PP[ .-]", "0PP", "55[ .-]?(?PP)?[ .-]?")),
        *((f"{area}[2-8]ddd[-. ]?dddd", True) for area in ("PP[ .-]", "PP", "0PP[ .-]", "0PP", "55[ .-]?(?PP)?[ .-]?")),
        ("0[3589]00[- ]?ddd[- ]?dddd", True),
        ("9dddd[-. ]?dddd", True), ("9[. ]dddd[-. ]dddd", True),
        ("[345]ddd[-. ]?dddd", True), ("2[1-9]dd[-. ]?dddd", True),
    ),
    "pt-PT": (
        ("[29]dd[-. ]?ddd[-. ]?ddd", True), ("2d[-. ]ddd[-. ]?dd[-. ]?dd", True),
        ("[29]d[-. ]ddd[-. ]dd[-. ]dd", True), ("30d[-. ]?ddd[-. ]?ddd", True),
        ("00351[-. ]?[239]dd[-. ]?ddd[-. ]?ddd", False),
    ),
    "en-US": (
        ("(Ndd)[-. ]?Ndd[-. ]dddd", False), ("Ndd-Ndd-dddd", False), ("Ndd.Ndd.dddd", False),
        *((f"{trunk}-Ndd-Ndd-dddd", False) for trunk in ("1", "001")),
        *((f"{trunk}.Ndd.Ndd.dddd", False) for trunk in ("1", "001")),
        *((f"{trunk}[- ](Ndd)[-. ]?Ndd[-. ]dddd", False) for trunk in ("1", "001")),
        ("Ndd[-. /]?Ndd[-. ]?dddd", True), ("1[-. ]?Ndd[-. ]?Ndd[-. ]?dddd", True),
    ),
    "international": (),
}  # fmt: skip
PHONE_WORDS = """
    tel tels telef telefone telefones telefónico telefônico telefônica fone fones celular celulares cel
    telemóvel telemóveis tlm tlf telm móvel contacto contactos contato contatos ligue ligar ligação whatsapp
    whats zap wa fax ramal sms phone phones telephone cell cellphone mobile call dial
    teléfono teléfonos móvil llame llamar
"""
COMPANY_WORDS = "cnpj cnpjs"
VERSION_WORDS = """
    version versions versão versões versao ver vers v release releases rel build upstream revision rev
    firmware driver kernel patch section sections sec seção secção secções seções chapter capítulo
    clause cláusula item artigo versión upgrade update oid
"""
ADDRESS_WORDS = """
    ip ips ipv addr address addresses endereço endereços host hosts dns server servidor servidores client
    cliente gateway ping nameserver router roteador proxy peer from
"""
# ISO 13616, the registry of SWIFT, release 99.
IBAN_LENGTHS = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23
    IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27
    MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19
    SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_SETS = {"d": "0123456789", "P": "123456789", "N": "23456789"}
_SETS["X"] = _SETS["d"] + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@cache
def plan(types: tuple[Type, ...] = TYPES, regions: tuple[Region, ...] = REGIONS) -> Plan:
    """The arrays of a scan for these types and phones of these regions."""
    phones = (
        Template("phone", shape, context, region)
        for region in REGIONS
        for shape, context in PHONES[region]
    )
    chosen = [t for t in (*CODES, *phones) if t.type in types and t.region in (None, *regions)]
    # Certain shapes before those that need a word, and each under its count of leading digits.
    rows = sorted(
        (
            (run, t.context, at, t, items)
            for at, t in enumerate(chosen)
            for run, items in parse(t.shape)
        ),
        key=lambda row: row[:3],
    )
    sets, masks = _masks([content for *_, items in rows for content, _ in items])
    lengths = [len(items) for *_, items in rows]
    runs = [run for run, *_ in rows]
    return Plan(
        kinds=_kinds(types, regions),
        bytes=_bytes(),
        begins=_begins(types, [(run, items) for run, *_, items in rows]),
        wanted=np.array([name in types for name in TYPES]),
        international="phone" in types and "international" in regions,
        sets=sets,
        items=masks,
        optional=np.array([o for *_, items in rows for _, o in items], np.bool_),
        places=np.cumsum([0, *lengths], dtype=np.int64),
        types=np.array([TYPES.index(t.type) for *_, t, _ in rows], np.int64),
        context=np.array([t.context for *_, t, _ in rows], np.bool_),
        starts=np.searchsorted(runs, np.arange(scan.RUN_MOST + 2)).astype(np.int64),
        phone_words=_hashes(PHONE_WORDS),
        company_words=_hashes(COMPANY_WORDS),
        version_words=_hashes(VERSION_WORDS),
        address_words=_hashes(ADDRESS_WORDS),
        iban_lengths=_iban_lengths(),
    )


Item: TypeAlias = tuple[str, bool]  # the characters it may be, and whether it is optional


def parse(shape: str) -> list[tuple[int, tuple[Item, ...]]]:
    """The items of a shape, one list for each count of digits that it may begin with.

    An optional item that decides how many digits come first is written out both ways.
    """
    items: list[Item] = []
    at = 0
    while at < len(shape):
        content = shape[at]
        if content == "[":
            stop = shape.index("]", at)
            content = _expand(shape[at + 1 : stop])
            at = stop
        content = _SETS.get(content, content)
        at += 1
        optional = shape[at : at + 1] == "?"
        at += optional
        items.append((content, optional))
    found = []
    for choice in _choices(tuple(items)):
        run = next((n for n, (c, _) in enumerate(choice) if not c.isdigit()), len(choice))
        found.append((0 if choice[0][0] == _SETS["X"] else run, choice))
    return found


def _choices(items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
    """The list with, and without, every optional item that ends the run of leading digits."""
    for at, (content, optional) in enumerate(items):
        if optional:
            taken = (*items[:at], (content, False), *items[at + 1 :])
            left = items[:at] + items[at + 1 :]
            return _choices(taken) + _choices(left)
        if not content.isdigit():
            break
    return [items]


def _expand(content: str) -> str:
    if len(content) == 3 and content[1] == "-" and content[0].isdigit():
        return "".join(str(n) for n in range(int(content[0]), int(content[2]) + 1))
    return content


def _masks(contents: list[str]) -> tuple[scan.Masks, scan.Masks]:
    """For every byte the sets it is in (a bit each), and for every item the bit of its set."""
    kinds = sorted(set(contents))
    assert len(kinds) <= 32, "a set of a template is one bit of 32"
    sets = np.zeros(256, np.uint32)
    for bit, content in enumerate(kinds):
        sets[list(content.encode())] |= np.uint32(1 << bit)
    return sets, np.array([1 << kinds.index(content) for content in contents], np.uint32)


def _kinds(types: tuple[Type, ...], regions: tuple[Region, ...]) -> scan.Bytes:
    kinds = np.zeros(256, np.uint8)
    if "email" in types:
        kinds[ord("@")] = scan.AT
    if set(types) - {"email"}:
        kinds[list(b"0123456789")] = scan.DIGIT
    if "cnpj" in types:
        kinds[ord("/")] = scan.SLASH
    if "phone" in types:
        kinds[ord("(")] = scan.OPEN
        if "international" in regions:
            kinds[ord("+")] = scan.PLUS
    return kinds


def _begins(
    types: tuple[Type, ...], rows: list[tuple[int, tuple[Item, ...]]]
) -> npt.NDArray[np.bool_]:
    """By how many digits come in a row and the byte after them: whether something may begin there."""
    table = np.zeros((scan.RUN_MOST + 1, 256), np.bool_)
    others = [byte for byte in range(256) if not chr(byte).isalnum() or byte >= 128]
    capitals = list(range(ord("A"), ord("Z") + 1))
    for run, items in rows:
        for content, optional in items[run:]:
            table[run, list(content.encode())] = True
            if not optional:
                break
        else:
            table[run, others] = True
    if "ipv4" in types:
        table[1:4, ord(".")] = True
    if "ipv6" in types:
        table[1:4, list(b"abcdefABCDEF")] = table[4, ord(":")] = True
    if "card" in types:
        table[4, list(b" -")] = True
        table[12:20, others] = True
    if "cnpj" in types:
        table[1:13, capitals] = True
    return table


def _bytes() -> scan.Bytes:
    table = np.zeros(256, np.uint8)
    letters = [byte for byte in range(128) if chr(byte).isalpha()]
    digits = list(b"0123456789")
    for members, bit in (
        ([*letters, *digits, ord("_")], mail.ALNUM),
        ([*letters, *digits, *b"._%+-'~"], mail.LOCAL),
        ([*letters, *digits, *b"-"], mail.DOMAIN),
        (letters, mail.LETTER),
        (list(b".-"), mail.JOIN),
        (list(b" -.()"), mail.GAP),
    ):
        table[members] |= np.uint8(bit)
    return table


def _hashes(words: str) -> scan.Hashes:
    """As `stages.kernels.scan.near` reads them: from the end, the case bit set."""
    found = []
    for word in sorted(set(words.split())):
        value = int(scan.BASIS)
        for byte in reversed(word.encode()):
            value = (value ^ (byte | 0x20)) * int(scan.PRIME) % 2**64
        found.append(value)
    return np.array(found, np.uint64)


def _iban_lengths() -> scan.Numbers:
    table = np.zeros(26 * 26, np.int64)
    for entry in IBAN_LENGTHS.split():
        table[(ord(entry[0]) - 65) * 26 + ord(entry[1]) - 65] = int(entry[2:])
    return table
