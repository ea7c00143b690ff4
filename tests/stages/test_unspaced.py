"""Words of Chinese and Japanese: against a plain reading of the models, and against their teachers."""

import time
from itertools import pairwise

import jieba
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.kernels import characters as ch
from stages.kernels import unspaced as us
from stages.kernels.manners import HYPHENS
from stages.kernels.words import COUNTS, WORDED, Asked, cut
from stages.measure import WORD_HASHES, Measure
from stages.segment import segmenter
from tests.segmented import chinese, f1, japanese

CHINESE = (
    "今年春天\uff0c南方几个省份的茶农因为雨水太多而推迟了采摘。",
    "他把钥匙放在桌子上\uff0c转身走进厨房给孩子们做晚饭。",
    "医生建议老年人每天散步半个小时\uff0c并且少吃油腻的食物。",
    "这座图书馆收藏了大量十九世纪的地图和手稿\uff0c免费向公众开放。",
    "昨晚的比赛中\uff0c主队在最后一分钟打进一球\uff0c以二比一获胜。",
    "如果温度低于零度\uff0c请先关闭阀门再检查水管是否漏水。",
)
JAPANESE = (
    "今年の春は雨が多く、南の地方では茶摘みが遅れています。",
    "彼は鍵を机の上に置いて、台所で子どもたちの夕食を作り始めた。",
    "医者は毎日三十分ほど歩くことと、脂っこい食べ物を控えることを勧めている。",
    "この図書館には十九世紀の地図や手紙が数多く保存されており、誰でも無料で見学できます。",
    "昨日の試合では、終了直前に決まったゴールで地元のチームが勝利した。",
    "気温が氷点下になる場合は、先に水道の元栓を閉めてから点検してください。",
)
HAN = st.text(st.sampled_from("中华人民共和国的一是在了不我他們研究生命起源〇丂𠀀"), max_size=12)
MIXED = st.text(st.sampled_from("東京都に住むカタカナーノ々〆研究のはをがﾊ𠮟あっぷ"), max_size=12)


def words(text, customs):
    """The words of a text, by `cut`, and how many letters were cut into words."""
    data = np.frombuffer(text.encode(), np.uint8)
    hashes, ends = np.zeros(len(data), np.uint64), np.zeros(len(data) + 1, np.int64)
    counts = np.zeros(COUNTS, np.int64)
    asked = Asked(hashes, ends, hashes[:0], ends[:0])
    many = cut(data, 0, len(data), ch.table(), customs, us.cutter(), asked, counts)
    spelt = "".join(text.split())
    edges = ends[: many + 1].tolist()
    assert edges[-1] == len(spelt)  # the words join to the text
    return [spelt[a:b] for a, b in pairwise(edges)], counts[WORDED]


@given(text=HAN)
def test_chinese_is_cut_by_the_likeliest_path_through_the_dictionary(text):
    assert words(text, us.CHINESE)[0] == chinese(text)


@given(text=MIXED, before=st.sampled_from(("", "a", "3", "。")), behind=st.sampled_from("、x7"))
def test_japanese_is_cut_where_the_sum_of_weights_says_so(text, before, behind):
    whole, worded = words(f"{before}{text}{behind}", us.JAPANESE)

    assert whole[bool(before) : -1] == (japanese(text, before, behind) if text else [])
    assert worded == len(text)


@pytest.mark.parametrize("sentence", CHINESE)
def test_chinese_words_are_those_of_jieba(sentence):
    assert words(sentence, us.CHINESE)[0] == list(jieba.cut(sentence))


def test_japanese_words_are_nearly_those_of_sudachi():
    text = "\n".join(JAPANESE)
    data = np.frombuffer(text.encode(), np.uint8)
    stream = segmenter("ja").cut(data, np.array([0, len(data)]))
    spelt, at, theirs = "".join(text.split()), 0, []
    for length, blank in zip(stream.lengths, stream.flags & 32, strict=True):
        if not blank:
            theirs.append(spelt[at : at + length])
            at += int(length)

    assert at == len(spelt)
    assert f1(words(text, us.JAPANESE)[0], theirs) > 0.95


@pytest.mark.parametrize("sentence", [*CHINESE, *JAPANESE])
def test_which_language_it_is_is_told_by_kana_where_it_is_not_said(sentence):
    own = us.CHINESE if sentence in CHINESE else us.JAPANESE

    assert words(sentence, 0) == words(sentence, own)
    assert words(f"An English text. {sentence}", 0)[0][4:] == words(sentence, own)[0]


@pytest.mark.parametrize("text", ["ภาษาไทย", "ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာ"])
def test_letters_of_other_scripts_without_spaces_stay_words(text):
    letters = [c for c in text if ch.table()[ord(c)] & ch.SINGLE]

    for customs in (0, us.CHINESE, us.JAPANESE):
        found, worded = words(text, customs)
        assert ([word[0] for word in found], worded) == (letters, 0)


def test_what_stands_before_the_first_letter_of_chinese_or_japanese_does_not_tell_which_it_is():
    for customs in (0, HYPHENS):
        own = words(JAPANESE[0], us.JAPANESE)[0]
        assert words(f"ภาษา well-known {JAPANESE[0]}", customs)[0][-len(own) :] == own


def test_a_mark_stays_with_its_letter():
    assert words("か\u3099っこう", us.JAPANESE)[0][0].startswith("か\u3099")
    assert words("中\ufe00国", us.CHINESE)[0] == ["中\ufe00国"]


@pytest.mark.parametrize(("letters", "language"), [("研究生命起源", "zh"), ("東京都に住む", "ja")])
def test_a_million_letters_without_a_mark_are_cut_in_linear_time(letters, language):
    measure = Measure(names=("words", "top_2_gram"))

    def spent(many):
        text = letters * (many // len(letters))
        batch = pa.RecordBatch.from_pylist([{"text": text, "language": language}])
        begin = time.process_time()
        (row,) = measure(batch).to_pylist()
        assert row["words"] < len(text)
        return time.process_time() - begin

    spent(10_000)
    assert spent(1_000_000) < 100 * max(spent(100_000), 0.01)


def test_hashes_for_signatures_are_those_of_letters_whatever_else_is_measured():
    names = (WORD_HASHES, "words", "unique_words", "repeated_5_words")
    rows = [
        {"text": text, "language": language}
        for text in (*CHINESE, *JAPANESE, "see /usr/bin: 研究生命 well-known")
        for language in ("zh", "ja", "en", None)
    ]
    batch = pa.RecordBatch.from_pylist(rows)
    alone = Measure(names=(WORD_HASHES,))(batch)[WORD_HASHES]
    among = Measure(names=names)(batch)

    assert among[WORD_HASHES].equals(alone)
    assert [len(row) for row in alone.to_pylist()[:2]] == [25, 25]  # letters
    assert max(among["words"].to_pylist()[:2]) < 20


def test_the_column_of_the_language_says_how_a_text_is_cut():
    text = "来到北京 a_b C++"
    batch = pa.RecordBatch.from_pylist([{"text": text, "language": c} for c in ("zh", "yue", "en")])
    measured = Measure(names=("words", "longest_word"))(batch)

    assert measured["words"].to_pylist() == [5, 5, 4]
    assert measured["longest_word"].to_pylist() == [2, 2, 3]
