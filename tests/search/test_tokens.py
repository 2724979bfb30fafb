"""What finds what: folding and tokens in twelve languages, phrases, addresses, tags and signs."""

from __future__ import annotations

import string
import unicodedata

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.search import folding, matching
from app.search import tokens as token_rules
from app.search.folding import LONGEST_CLUSTER, fold, fold_with_places
from app.search.matching import find
from app.search.tokens import LONGEST_TOKEN, Kind, Token, places, tokens
from app.search.wanted import MOST_TOKENS, Sought, read

# Language, what was written, what finds it, and what does not.
FINDS: list[tuple[str, str, list[str], list[str]]] = [
    ("Latin", "Crème brûlée à Łódź, Ærø", ["creme", "BRULEE", "brûl", "lodz aero", "cremé"], ["rème", "breme"]),
    ("Latin, decomposed", "Cre\u0300me bru\u0302le\u0301e", ["crème", "brûlée", "brule"], ["breme"]),
    ("Latin, Vietnamese", "Tôi đang ở Đà Nẵng", ["da nang", "Đà", "o dang"], ["nangg"]),
    ("Cyrillic", "Ещё ёлка стоит. ПРИВЕТ!", ["еще", "елка", "привет", "Ёлк"], ["лка"]),
    ("Greek", "Ἀθήνα, Ὀδυσσεύς και ΟΔΟΣ", ["αθηνα", "οδυσσευς", "οδος", "ΑΘΉΝΑ"], ["θηνα"]),
    ("Turkish", "ISTANBUL'da Diyarbakır, İzmir ıhlamur", ["istanbul", "ıstanbul", "İSTANBUL", "diyarbakir"], []),
    ("Turkish, both", "ılık ILIK ilik İLİK", ["ilik", "ılık", "ILIK", "İLİK"], ["lik"]),
    (
        "German",
        "Die Straße und der FUẞBALL, Müllers",
        ["strasse", "STRASSE", "straße", "fussball", "muller"],
        ["trasse"],
    ),
    ("Arabic", "مُحَمَّدٌ ذهب إلى المدرسة", ["محمد", "مُحمّد", "الى", "إلى", "المدرسه", "ذهـــب"], ["حمد"]),
    ("Persian", "می\u200cخواهم کتاب بخرم ۱۲۳", ["میخواهم", "مي\u200cخواهم", "كتاب", "123", "١٢٣"], ["خواهم"]),
    ("Hebrew", "שָׁלוֹם עוֹלָם, חיילי צה״ל", ["שלום", "עולם", "שָׁלוֹם", 'צה"ל', "צה״ל", "צהל"], ["לום"]),
    ("Hindi", "मुझे हिन्दी में क़लम दो", ["हिन्दी", "कलम", "क़लम", "हिन्", "मुझे दो"], ["हनद", "न्दी"]),
    ("Thai", "วันนี้อากาศดีมาก ไปเที่ยวกัน", ["อากาศ", "อากาศดี", "มาก", "เที่ยว", "วันนี้ เที่ยว", "ก"], ["กาศมาก", "มากวัน"]),
    (
        "Chinese",
        "我今天去了北京大学。",
        ["北京", "京大", "大学", "今天 大学", "学", "我", "北京大学"],
        ["北大", "京学", "上海"],
    ),
    ("Chinese, two letters", "微信", ["微信", "微", "信"], ["信微", "微信号"]),
    (
        "Japanese",
        "東京タワーへ行きました。ｶﾀｶﾅ",
        ["東京", "タワー", "タワ", "行き", "カタカナ", "へ行", "ワ"],
        ["京東", "タナ"],
    ),
    ("Japanese, voiced", "がっこう", ["がっこう", "か\u3099っこう", "っこ"], ["かっこう"]),
    (
        "Korean",
        "한국어를 공부합니다",
        ["한국어", "한국", "국어", "공부", "한", "\u1112\u1161\u11ab국"],
        ["어한", "한어"],
    ),
    ("Burmese, Khmer, Lao", "မြန်မာ ភាសាខ្មែរ ພາສາລາວ", ["မြန်", "ខ្មែរ", "ភាសា", "ລາວ"], ["ខ្មែរភាសា"]),
    (
        "mixed",
        "iPhone手机和3个MacBook들",
        ["iphone", "手机", "iphone手机", "3个", "macbook", "和 macbook"],
        ["机手", "phone"],
    ),
    (
        "emoji",
        "Great 👍🏽 job 👩\u200d💻 ❤️ 🇩🇪",
        ["👍", "👍🏿", "💻", "👩\u200d💻", "❤", "🇩🇪", "great 👍"],
        ["👎", "🇪🇩", "🇫🇷"],
    ),
    (
        "hashtags",
        "Off to #SnowDay_2024, #日本語",
        ["#snowday", "#snow", "snowday_2024", "2024", "#日本", "日本"],
        ["#now", "#2024"],
    ),
    (
        "mentions",
        "ask @ada_lovelace or a@b.example",
        ["@ada", "ada_lovelace", "lovelace", "a@b.example"],
        ["@lovelace", "@b"],
    ),
    (
        "addresses",
        "see https://docs.example.com/a-page?x=1#top, v1.2.3 on 2024-01-15",
        [
            "example.com",
            "docs.example",
            "a-page",
            "https://docs.example.com/a-page?x=1#top",
            "v1.2.3",
            "2.3",
            "2024-01-15",
            "page",
        ],
        ["example-page", "1.3", "2024-15", "com.example"],
    ),
    ("numbers", "It cost 1,299.50€ or +1 (555) 000-1111", ["1,299", "299.50", "50€", "555", "000-1111"], ["2,99"]),
    ("apostrophes", "Don’t stop, l'homme d`ici", ["don't", "dont", "don’t", "homme", "l’hom", "stop"], ["on't"]),
    (
        "phrases",
        "the quick brown fox jumps",
        ['"quick brown"', '"the quick brown fox"', "fox quick", "“brown fox”"],
        ['"quick fox"', '"fox brown"', '"brow"', '"fox jumps high"'],
    ),
    (
        "phrases of others",
        "北京 大学生 hello мир",
        ['"北京 大学"', '"生 hello"', '"hello мир"', '"大学生 hello"'],
        ['"北京 学生"', '"大学 hello"'],
    ),
    ("prefixes", "searching everything", ["sear", "searching every", "everything sear"], ["sear every", "earch"]),
    ("nothing to look for in", "... !!! ???", [], ["a"]),
]


def is_found(typed: str, text: str) -> bool:
    return find(read(typed).terms, text, 200) is not None


@pytest.mark.parametrize(("language", "text", "found", "missed"), FINDS, ids=[row[0] for row in FINDS])
def test_what_was_written_is_found_as_people_type_it(
    language: str, text: str, found: list[str], missed: list[str]
) -> None:
    assert [typed for typed in found if not is_found(typed, text)] == []
    assert [typed for typed in missed if is_found(typed, text)] == []


def test_folding_what_is_folded_changes_nothing() -> None:
    for point in range(0x20, 0x2FA20):
        if not 0xD800 <= point < 0xE000:
            once = fold(chr(point))
            assert fold(once) == once, hex(point)


def test_every_folded_letter_knows_where_it_came_from() -> None:
    for text in (
        "Stra\u00dfe ﬁn",
        "e\u0301te\u0301",
        "👍🏽 ok",
        "\u1112\u1161\u11ab국",
        "a\u200db",
        'צה"ל',
        "plain",
        "",
    ):
        folded = fold_with_places(text)
        assert folded.text == fold(text)
        for place, letter in enumerate(folded.text):
            start, end = folded.span(place, place + 1)
            assert letter in fold(text[start:end]) or text[start:end] == '"', (text, letter)


HOSTILE = {
    "marks": "a" + "\u0315\u0316" * 2048,
    "marks in the wrong order": "a" + "\u0315" * 2048 + "\u0316" * 2048,
    "vowel signs": "क" + "\u093c\u094d" * 2048,
    "skin tones": "👍" + "🏽" * 4095,
    "first letters of syllables": "\u1161" + "\u1100" * 4095,
    "parts of a syllable": "\u1100" * 1500 + "\u1161" * 1500 + "\u11a8" * 1000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_however_many_marks_a_letter_has_what_is_folded_at_once_and_remembered_is_short(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = folding._folded_cluster

    def noting(cluster: str) -> str:
        seen.append(cluster)
        return real(cluster)

    monkeypatch.setattr(folding, "_folded_cluster", noting)
    folded = fold_with_places(text)
    assert max(map(len, seen)) <= LONGEST_CLUSTER
    assert "".join(seen) == text
    assert folded.text == fold(text)
    assert fold(folded.text) == folded.text


def test_a_letter_with_some_marks_is_one_with_them() -> None:
    marked = "e" + "\u0301\u0327\u0323\u0330" * 4
    assert fold(f"{marked}te") == "ete"
    assert fold_with_places(f"{marked}te").span(0, 1) == (0, len(marked))


def test_matches_are_where_they_stand_in_the_text_as_it_was_sent() -> None:
    def marked(typed: str, text: str) -> list[str]:
        return [text[start:end] for start, end in find(read(typed).terms, text, 200) or []]

    assert marked("strasse", "in der Straße!") == ["Straße"]
    assert marked("ete", "l'e\u0301te\u0301 ici") == ["e\u0301te\u0301"]
    assert marked("fis", "one ﬁsh") == ["ﬁsh"]
    assert marked("北京大学", "去北京大学。") == ["北京大学"]
    assert marked("学", "大学 学生") == ["学", "学"]
    assert marked("homme", "l'homme") == ["homme"]
    assert marked("lhomme", "l'homme") == ["l'homme"]
    assert marked("#sno", "#Snow, snow") == ["#Snow"]
    assert marked("ab ab", "ab ab") == ["ab", "ab"]
    assert marked('"ab cd"', "ab-cd") == ["ab", "cd"]
    assert marked("👍", "👍🏽!") == ["👍🏽"]


def test_positions_count_from_1_and_a_word_and_its_parts_share_one() -> None:
    found = [(token.lexeme, token.position, token.kind) for token in tokens(fold("it's 日本語 x"))]
    assert found == [
        ("its", 1, Kind.WORD),
        ("it", 1, Kind.PART),
        ("s", 1, Kind.PART),
        ("日本", 2, Kind.PAIR),
        ("本語", 3, Kind.PAIR),
        ("語", 4, Kind.LAST),
        ("x", 5, Kind.WORD),
    ]


# Letters, marks and signs of all kinds beside each other, of the basic plane and beyond, and any others.
_LETTERS = (
    "aÉß1 ,#@_'\u2019`é\u0301яЖא\"ב\u05b0مُह\u093cि\u094d"
    "한\u1112\u1161\u11ab字学かﾀ\u3099กิ€👍🏽🇩🇪\u200d\ufe0f𠀀\U00011038\U0001e900"
)
_TEXTS = st.one_of(st.text(_LETTERS), st.text(max_size=30), st.text(string.printable))


@hypothesis.settings(deadline=None, database=None, max_examples=300)
@given(text=_TEXTS)
def test_places_are_those_of_the_tokens(text: str) -> None:
    for each in (text, fold(text)):
        assert list(places(each)) == [(token.lexeme, token.position) for token in tokens(each)]


def test_places_of_words_alone_are_those_of_the_tokens() -> None:
    for text in ("", " ... ", "one Two three", "Ещё не знаю", "هذا نص", "x" * 200 + " y", "क़लम दो"):
        assert list(places(text)) == [(token.lexeme, token.position) for token in tokens(text)]


@hypothesis.settings(deadline=None, database=None, max_examples=300)
@given(text=_TEXTS)
def test_a_pattern_finds_the_same_in_a_text_of_the_basic_plane_whatever_comes_behind_it(text: str) -> None:
    basic = "".join(letter for letter in text if letter <= "\uffff")
    for pattern in (
        folding._JOINED,
        folding._CLUSTER,
        token_rules._RUN,
        token_rules._WORD,
        token_rules._OF_OTHER_TOKENS,
    ):
        found = [match.span() for match in pattern.of(basic).finditer(basic)]
        assert pattern.of(basic) is not pattern.of("👍")
        assert found == [match.span() for match in pattern.of("👍").finditer(basic)]


def test_long_words_are_compared_by_their_beginnings() -> None:
    word = "x" * (LONGEST_TOKEN + 10)
    assert {len(token.lexeme) for token in tokens(word)} == {LONGEST_TOKEN}
    assert is_found(word, word)
    assert is_found("x" * LONGEST_TOKEN, word)


def test_what_is_typed_is_read_as_terms_and_senders() -> None:
    typed = read('from:@ada "one two" three-four FROM:me five')
    assert typed.sender_names == ["ada", "me"]
    assert [[(s.lexeme, s.is_beginning, s.distance) for s in term] for term in typed.terms] == [
        [("one", False, 0), ("two", False, 1)],
        [("three", False, 0), ("four", False, 1)],
        [("five", True, 0)],
    ]
    assert read("confrom:ada").sender_names == []
    assert read("... ''").terms == []


def test_of_very_long_questions_only_the_first_tokens_count() -> None:
    many = " ".join(f"w{number}" for number in range(500))
    assert sum(map(len, read(many).terms)) == MOST_TOKENS
    assert sum(map(len, read(f'"{many}"').terms)) == MOST_TOKENS
    assert sum(map(len, read("日本" * 500).terms)) == MOST_TOKENS


def test_who_pastes_a_long_sentence_finds_it() -> None:
    sentence = " ".join(f"word{number}" for number in range(40))
    assert is_found(sentence[:256], sentence)
    assert is_found(
        "我今天去了北京大学和朋友们一起吃饭然后回家睡觉", "昨晚我今天去了北京大学和朋友们一起吃饭然后回家睡觉。"
    )


@pytest.mark.parametrize(
    ("typed", "body"),
    [
        (" ".join(chr(0x4E00 + n) for n in range(60)), "".join(chr(0x4E00 + n % 60) for n in range(4096))),
        ('"' + "a " * 100 + '"', "a " * 2048),
        (" ".join("abcdefghijklmnopqrstuvwxyz"), " ".join("abcdefghijklmnopqrstuvwxyz" * 80)),
        ("é" + "_a" * 100, "é" + "_a" * 2040),
        ("👍" * 100, "👍" * 4096),
    ],
    ids=["letters", "phrase", "words", "parts", "emoji"],
)
def test_what_is_looked_at_does_not_grow_with_the_terms_times_the_places(
    typed: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = 0
    real = matching._fits

    def counting(token: Token, sought: Sought) -> bool:
        nonlocal looked_at
        looked_at += 1
        return real(token, sought)

    monkeypatch.setattr(matching, "_fits", counting)
    assert find(read(typed).terms, body, 200)
    assert looked_at <= 2 * len(body)


def test_what_is_typed_twice_is_looked_for_once() -> None:
    assert read("a a b a a ").terms == read("a b a").terms
    assert len(read('"a b" "a b" !').terms) == 1


def test_of_a_term_at_every_place_only_those_near_the_first_are_told() -> None:
    typed = read(f'"{"a " * (MOST_TOKENS - 1)}" a !')
    assert find(typed.terms, "a " * 30_000 + "b", 200) == [(2 * n, 2 * n + 1) for n in range(100 + MOST_TOKENS - 1)]
    assert find(typed.terms, "a " * (MOST_TOKENS - 2), 200) is None
    assert find(read("first second").terms, "second " + "x " * 500 + "first second", 200) == [(0, 6), (1007, 1012)]


def test_every_assigned_letter_and_digit_can_be_found_by_itself() -> None:
    missed = [
        hex(point)
        for point in range(0x20, 0x2FA20)
        if unicodedata.category(chr(point)) in ("Lu", "Ll", "Lt", "Lo", "Nd")
        and fold(chr(point)).strip()
        and not is_found(chr(point), f"x {chr(point)} y")
    ]
    assert missed == []
