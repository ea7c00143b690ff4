import ipaddress
import pickle
import random
from itertools import pairwise

import phonenumbers
import pyarrow as pa
import pytest
from faker import Faker
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import part
from stages.config import dump_step, load_step
from stages.errors import SpecError
from stages.pii import ScrubPII, find
from stages.pii.patterns import PHONES, TYPES, plan
from stages.pii.presidio import find_presidio
from stages.pii.spans import resolve


def column(*texts):
    return pa.array(texts, pa.large_string())


def batch(*texts):
    return pa.record_batch({"id": [str(i) for i in range(len(texts))], "text": column(*texts)})


def hits(text, **fields):
    data = text.encode()
    spans = find(column(text), **fields).to_pylist()
    return [(span["type"], data[span["start"] : span["stop"]].decode()) for span in spans]


def scrub(*texts, **fields):
    return ScrubPII(**fields)(batch(*texts))["text"].to_pylist()


# What must be found -------------------------------------------------------------------------------

FOUND = [
    ("email", "escreva para {}.", ["joao.silva@exemplo.com.br", "a+b_c%d@x-y.museum", "joão@café.pt", "x@y.xn--p1ai"]),
    ("email", "mailto:'{}',", ["o'brien@example.ie", "11987654321@contato.com"]),
    ("phone", "fone {}, à tarde", ["(11) 98765-4321", "(011) 3333-4444", "11987654321", "3333-4444", "11 3333 4444"]),
    ("phone", "({})", ["+55 11 98765-4321", "+351 912 345 678", "+1 (212) 555-0123", "+442079460958"]),
    ("phone", "telemóvel: {}", ["912 345 678", "912345678", "21 123 45 67", "213 456 789"]),
    ("phone", "Call {} now", ["(212) 555-0123", "212-555-0123", "212.555.0123", "2125550123", "1-800-555-1234"]),
    ("ipv4", "from {}:443", ["200.147.3.157", "8.8.8.8"]),
    ("ipv6", "[{}]", ["2001:4860:4860::8888", "2a00:1450:4003:80a:0:0:0:200e", "2606:4700::1111"]),
    ("card", "cartão {};", ["4111 1111 1111 1111", "4111111111111111", "3782 822463 10005", "5500-0000-0000-0004"]),
    ("iban", "IBAN {}.", ["GB82 WEST 1234 5698 7654 32", "PT50000201231234567890154", "BR1800360305000010009795493C1"]),
    ("cpf", "CPF nº {}\n", ["529.982.247-25", "52998224725", "529982247-25", "529 982 247 25"]),
    ("cnpj", "CNPJ: {} (matriz)", ["11.222.333/0001-81", "11222333000181", "12.ABC.345/01DE-35", "12ABC34501DE35"]),
]  # fmt: skip


@pytest.mark.parametrize(
    "kind, context, value",
    [(kind, context, value) for kind, context, values in FOUND for value in values],
)
def test_personal_data_is_found_from_its_first_byte_to_its_last(kind, context, value):
    assert hits(context.format(value)) == [(kind, value)]


CONTEXTS = {
    "phone": ["Meu telefone é {}.", "Ligue para {} hoje", "phone: {}", "O telemóvel dela: {}\n"],
    None: ["{}", "Ficou registado {}.", "is it ({})?", "início — {} — fim", "a;{};b", "«{}»\n"],
}


def generated():
    """Values made by an independent package, valid for the registries of their kind."""
    fake = {
        locale: Faker(locale)
        for locale in ("pt_BR", "pt_PT", "en_US", "de_DE", "en_GB", "fr_FR", "es_ES")
    }
    Faker.seed(7)
    rng = random.Random(7)
    for _ in range(150):
        yield "email", fake[rng.choice(list(fake))].email()
        yield "ipv4", fake["en_US"].ipv4_public()
        yield (
            "ipv6",
            str(ipaddress.IPv6Address(0x2A00 << 112 | rng.getrandbits(rng.choice((16, 64, 112))))),
        )
        card = fake["en_US"].credit_card_number()
        yield "card", card
        if len(card) == 16:
            yield "card", " ".join(card[i : i + 4] for i in range(0, 16, 4))
        iban = fake[rng.choice(("pt_PT", "de_DE", "en_GB", "fr_FR", "es_ES"))].iban()
        yield "iban", iban
        yield "iban", " ".join(iban[i : i + 4] for i in range(0, len(iban), 4))
        cpf, cnpj = fake["pt_BR"].cpf(), fake["pt_BR"].cnpj()
        yield "cpf", cpf
        yield "cpf", cpf.replace(".", "").replace("-", "")
        yield "cnpj", cnpj
        yield "cnpj", "".join(filter(str.isalnum, cnpj))
        for locale, region in (("pt_BR", "BR"), ("pt_PT", "PT"), ("en_US", "US")):
            number = phonenumbers.parse(fake[locale].phone_number(), region)
            if phonenumbers.is_valid_number(number) and not number.extension:
                for form in (
                    phonenumbers.PhoneNumberFormat.NATIONAL,
                    phonenumbers.PhoneNumberFormat.INTERNATIONAL,
                    phonenumbers.PhoneNumberFormat.E164,
                ):
                    yield "phone", phonenumbers.format_number(number, form)


def test_every_generated_value_is_found_whole_in_any_context():
    cases = []
    for at, (kind, value) in enumerate(generated()):
        contexts = CONTEXTS.get(kind, CONTEXTS[None])
        cases.append((kind, value, contexts[at % len(contexts)].format(value)))
    assert {kind for kind, _, _ in cases} == set(TYPES)
    spans = find(column(*(text for _, _, text in cases))).to_pylist()
    found = {span["row"]: [] for span in spans}
    for span in spans:
        data = cases[span["row"]][2].encode()
        found[span["row"]].append((span["type"], data[span["start"] : span["stop"]].decode()))
    missed = [
        (case, found.get(row)) for row, case in enumerate(cases) if found.get(row) != [case[:2]]
    ]
    assert missed == []


# What must be left --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "version 1.2.3.4.5 and 9.8.7.6.5",
        "Chrome/115.0.5790.110 Safari/537.36",
        "foo-99.2.3.4.tar.gz, pkg 2:99.2.3.4, 99.2.3.4~rc1, 99.2.3.4-1",
        "versão 99.84.3.14",
        "6.2.4.1. Section",
        "2024-01-02 12:30:45, 01/02/2024, 20240102123045",
        "ISBN 978-85-333-0227-3, 85-333-0227-3, 0-306-40615-2, 9788533302273",
        "10.0.0.1 192.168.1.1 172.16.5.4 127.0.0.1 169.254.1.1 224.0.0.1 255.255.255.0 0.0.0.0",
        "192.0.2.1 198.51.100.7 203.0.113.9 2001:db8::1 fe80::1 ::1 fc00::1",
        "256.1.1.1 1.2.3 1.2.3.4567 01.02.03.04",
        "std::vector a::b 12:30:45 2001:: 20:30",
        "529.982.247-24 52998224724 111.111.111-11 1529.982.247-25 529.982.247-256",
        "11.222.333/0001-82 11222333000182 00000000000000",
        "4111 1111 1111 1112 4111111111111112 1234567890123456",
        "GB82WEST12345698765433 PT50000201231234567890155 ABGB82WEST12345698765432",
        "R$ 1.234.567,89 912 345 678 habitantes, 11987654322 bytes, 01310-100",
        "@usuario a@b joao@ @x.com react@16.8.0 user@host",
        "em 11 2000-2010, 1998-2004, 555-0123",
    ],
)
def test_what_only_looks_like_personal_data_is_left(text):
    assert hits(text) == []


def test_only_addresses_of_the_public_net_are_found():
    rng = random.Random(1)
    for _ in range(3000):
        head = rng.choice((10, 100, 127, 169, 172, 192, 198, 203, 224, 240, rng.randrange(256)))
        address = ipaddress.IPv4Address(head << 24 | rng.getrandbits(24))
        relay = address in ipaddress.ip_network("192.88.99.0/24")
        kept = not address.is_global or address.is_multicast or address.is_reserved or relay
        assert bool(hits(f"ip {address}")) != kept, address


def test_an_address_does_not_begin_within_another_and_takes_in_what_looked_like_a_number():
    assert hits("a@b.com@c.org") == [("email", "a@b.com")]
    assert hits("fone 11987654321@x.org (11) 98765-4321") == [
        ("email", "11987654321@x.org"),
        ("phone", "(11) 98765-4321"),
    ]


def test_types_and_regions_that_are_not_asked_for_are_left():
    text = "a@b.com, CPF 529.982.247-25, tel. (11) 98765-4321, +351 912 345 678"
    assert hits(text, types=("cpf",)) == [("cpf", "529.982.247-25")]
    assert [k for k, _ in hits(text, types=("phone",), regions=("en-US",))] == []
    assert hits(text, types=("phone",), regions=("pt-BR",)) == [("phone", "(11) 98765-4321")]
    assert hits(text, types=("phone",), regions=("international",)) == [
        ("phone", "+351 912 345 678")
    ]


# Rewriting ----------------------------------------------------------------------------------------


def test_text_is_rewritten_and_counted_by_type():
    out = ScrubPII()(batch("é a@b.com, c@d.org é CPF 529.982.247-25", "nada", ""))
    assert out["text"].to_pylist() == ["é <EMAIL>, <EMAIL> é CPF <CPF>", "nada", ""]
    assert out["pii_spans"].to_pylist() == [3, 0, 0]
    assert out["pii_types"].to_pylist() == [[("email", 2), ("cpf", 1)], [], []]
    assert [out.schema.field(field.name) for field in ScrubPII().adds] == list(ScrubPII().adds)


def test_pseudonyms_are_stable_within_a_document_and_tell_nothing_between_documents():
    texts = ["a@b.com c@d.com a@b.com ip 200.147.3.157 2a00:1450::200e", "c@d.com a@b.com"]
    expected = ["<EMAIL_1> <EMAIL_2> <EMAIL_1> ip <IP_1> <IP_2>", "<EMAIL_1> <EMAIL_2>"]
    assert scrub(*texts, replacement="pseudonym") == expected


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("0123456789 .-/()+@:xA_é\u00ba\u0301👩\x00\u202eãГ電\n"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=50,
)
VALUES = st.sampled_from([value for _, _, values in FOUND for value in values])
MIXED = st.lists(st.one_of(HOSTILE, VALUES), max_size=6).map("".join)


@settings(max_examples=400, deadline=None)
@given(texts=st.lists(MIXED, max_size=5), how=st.sampled_from(("tag", "pseudonym")))
def test_spans_are_ordered_apart_and_whole_and_the_rest_of_the_text_is_kept(texts, how):
    spans = find(column(*texts)).to_pylist()
    rest = {row: text.encode() for row, text in enumerate(texts)}
    before = {}
    for span in spans:
        row, start, stop = span["row"], span["start"], span["stop"]
        assert before.get(row, 0) <= start < stop <= len(rest[row])
        rest[row][start:stop].decode()
        before[row] = stop
    for span in reversed(spans):
        data = rest[span["row"]]
        rest[span["row"]] = data[: span["start"]] + b"\0\1" + data[span["stop"] :]
    out = ScrubPII(replacement=how)(batch(*texts))
    out.validate(full=True)
    for row, text in enumerate(out["text"].to_pylist()):
        pieces = rest[row].decode().split("\0\1")
        at = 0
        for piece in pieces:
            at = text.index(piece, at) + len(piece)
        assert len(pieces) - 1 == out["pii_spans"][row].as_py()
        assert text.startswith(pieces[0])
        assert text.endswith(pieces[-1])


@settings(deadline=None)
@given(texts=st.lists(MIXED, max_size=6), cut=st.integers(0, 6))
def test_scrubbing_does_not_depend_on_how_documents_are_batched(texts, cut):
    stage, rows = ScrubPII(replacement="pseudonym"), batch(*texts)
    parts = [stage(rows[:cut]), stage(rows[cut:])]
    assert pa.Table.from_batches([stage(rows)]).equals(pa.Table.from_batches(parts))


@pytest.mark.parametrize(
    "unit", ["@", "a@", "1", "1.", "a.a@a.", "(1", "+1 ", "1234 ", "A1", "2a:", "x@y.z", "1/"]
)
def test_long_runs_of_one_shape_are_scanned_in_bounded_steps_and_without_error(unit):
    size = 1_000_000
    (text,) = scrub(unit * (size // len(unit)) + " a@b.com")
    assert text.endswith("<EMAIL>")


def test_no_byte_behind_the_text_is_read():
    for text in (
        "a@b.com",
        "200.147.3.157",
        "2a00:1450::200e",
        "GB82WEST12345698765432",
        "+351912345678",
    ):
        for stop in range(len(text)):
            whole, alone = column(text[:stop], text[stop:]), column(text[:stop])
            first = [span for span in find(whole).to_pylist() if span["row"] == 0]
            assert first == find(alone).to_pylist()


# Presidio -----------------------------------------------------------------------------------------


def test_the_scan_finds_what_the_recognisers_of_presidio_find_in_generated_text():
    rows = []
    for at, (kind, value) in enumerate(generated()):
        if at % (60 if kind == "phone" else 7) == 0:
            contexts = CONTEXTS.get(kind, CONTEXTS[None])
            rows.append((kind, contexts[at % len(contexts)].format(value)))
    for kind in TYPES:
        texts = [text for which, text in rows if which == kind]
        theirs, errors = find_presidio(batch(*texts), (kind,))
        assert errors == [None] * len(texts)
        assert len(theirs) > len(texts) / 2
        ours = find(column(*texts)).to_pylist()
        for span in theirs.to_pylist():
            assert any(
                o["row"] == span["row"] and o["start"] < span["stop"] and span["start"] < o["stop"]
                for o in ours
            ), (kind, texts[span["row"]])


def test_presidio_rewrites_as_the_scan_does():
    rows = batch("é joão@exemplo.com.br é", "CPF 529.982.247-25, CNPJ 11.222.333/0001-81", "")
    assert ScrubPII(engine="presidio")(rows).equals(ScrubPII()(rows))


def test_a_document_on_which_a_recogniser_gives_up_is_faulty(monkeypatch):
    monkeypatch.setattr("presidio_analyzer.pattern_recognizer.REGEX_TIMEOUT_SECONDS", 1e-6)
    out = ScrubPII(engine="presidio", types=("email",))(batch("a" * 200_000, ""))
    kept, _, broken = part(out)
    assert (kept["id"].to_pylist(), broken["id"].to_pylist()) == (["1"], ["0"])
    assert broken["fault"][0].as_py().startswith("TimeoutError: Regex pattern 'Email")


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 30), st.integers(1, 9)), max_size=12))
def test_overlapping_spans_are_resolved_to_the_longest_whatever_their_order(drawn):
    spans = [(kind, start, start + size) for kind, start, size in drawn]
    taken = resolve(spans)
    assert taken == resolve(reversed(spans)) == sorted(taken, key=lambda s: s[1])
    assert all(a[2] <= b[1] for a, b in pairwise(taken))
    for span in spans:
        rivals = [t for t in taken if t[1] < span[2] and span[1] < t[2]]
        assert any(t[2] - t[1] >= span[2] - span[1] for t in rivals)


# Configuration ------------------------------------------------------------------------------------


def test_the_stage_is_named_as_recipes_write_it():
    stage = load_step(
        {"stages.pii.ScrubPII": {"types": ["email", "cpf"], "regions": ["pt-BR"]}}, "here"
    )
    assert dump_step(stage)["stages.pii.ScrubPII"]["types"] == ["email", "cpf"]
    assert load_step(dump_step(stage), "here") == pickle.loads(pickle.dumps(stage)) == stage
    with pytest.raises(SpecError, match=r"here\.ScrubPII\.types"):
        load_step({"stages.pii.ScrubPII": {"types": ["passport"]}}, "here")
    with pytest.raises(SpecError, match="nothing to look for"):
        load_step({"stages.pii.ScrubPII": {"types": []}}, "here")


def test_every_template_can_be_found_by_the_digits_it_begins_with():
    made = plan()
    assert made.starts[-1] == len(made.types)
    assert all(PHONES[region] for region in ("pt-BR", "pt-PT", "en-US"))
