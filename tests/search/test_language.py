"""The query language: what is read from text, what is written, and what is refused."""

import string
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.conditions import Condition, Range, Text
from db.filters import FIELDS, Kind
from search.errors import QueryError, QuerySyntaxError
from search.language import MAX_LENGTH, parse, write
from search.query import (
    Archived,
    CopyOf,
    Example,
    Query,
    Sound,
    Taught,
    Term,
    Words,
)

T = TypeVar("T")


def words(*texts: str) -> tuple[Sound, ...]:
    return tuple(Sound((Words(text),)) for text in texts)


def refusal(text: str) -> QuerySyntaxError:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text)
    return caught.value


def only_sound(text: str) -> tuple[Term, ...]:
    query = parse(text)
    assert query == Query(query.sounds)
    (sound,) = query.sounds
    return sound.terms


def only_condition(text: str) -> Condition:
    query = parse(text)
    assert query == Query(conditions=query.conditions)
    (condition,) = query.conditions
    return condition


def only_value(text: str) -> Text | Range:
    (value,) = only_condition(text).values
    return value


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "rain",
        "rain on a tin roof",
        "hi-hat sci-fi whoosh",
        "don't stop, rock'n'roll!",
        '12" vinyl, 7" record',
        "R&B C++ AT&T",
        "Foley: footsteps",
        "at 12:30, ratio 16:9, bars 1:2:3",
        "https://example.org/rain.wav?x=1#y std::vector",
        "rain AND wind OR NOT thunder",
        "rain and wind or not thunder",
        "then a door slams",
        "what then",
        "every now and then a car",
        "Now And Then birds",
        "tone at -20 dB, -18.5 dBFS, -23LUFS",
        "tape @ 30 ips 50% #1 *star* a/b a\\b {x} [y] <z> = | ~",
        "rain \u2013 heavy \u2014 wet --- loud",
        "дождь по крыше 雨の音 Glühwürmchen café",
        "100^ x^y",
        "AMB_Rain-Heavy_01.wav",
        "it\u2019s a dog\u2019s bark",
    ],
)
def test_plain_words_are_just_words(text: str) -> None:
    assert parse(text) == Query(words(text))


@given(
    st.lists(
        st.from_regex(r"[^\W_]([\w'\u2019-]*[^\W_])?[.,!?;]?", fullmatch=True).filter(
            lambda word: word.lower() != "then"
        ),
        min_size=1,
        max_size=8,
    )
)
def test_words_of_letters_digits_and_punctuation_are_never_anything_else(row: list[str]) -> None:
    assert parse(" ".join(row)) == Query(words(" ".join(row)))


def test_spaces_of_any_kind_and_number_separate_words() -> None:
    assert parse("  rain\u00a0on\t a\n\u200btin\ufeff roof ") == Query(words("rain on a tin roof"))


def test_parentheses_make_mere_words_of_everything() -> None:
    for inside in ("now and then", "a & b", "-x", "tag:rain", '"a', "a (b) c", "x^2", "like:a"):
        assert parse(f"({inside})") == Query(words(inside))
    assert parse(r"(a \( b \\ c)") == Query(words(r"a ( b \ c"))


def test_parentheses_in_a_row_of_words_change_nothing() -> None:
    assert parse("rain (heavy), far") == parse("rain heavy far")
    assert parse("dog(s) barking") == parse("dog s barking")


def test_what_stands_between_words_but_is_no_word_leaves_them_together() -> None:
    query = parse("dog -music duration:<10 barking")
    assert query.sounds == words("dog barking")


# -- sounds ------------------------------------------------------------------------------------


def test_a_minus_before_a_word_leaves_it_out() -> None:
    query = parse("dog barking -music -(heavy traffic) -like:a.wav -sound:wren")
    assert query == Query(
        words("dog barking"),
        (
            *words("music", "heavy traffic"),
            Sound((Example(Path("a.wav")),)),
            Sound((Taught("wren"),)),
        ),
    )
    assert parse("-music") == Query(without=words("music"))
    assert parse("\u2212music \u2013speech").without == words("music", "speech")


def test_a_minus_between_spaces_subtracts() -> None:
    for minus in ("-", "\u2212"):
        assert only_sound(f"engine {minus} voice^0.5") == (Words("engine"), Words("voice", -0.5))


def test_a_sum_has_weights_of_whole_phrases() -> None:
    assert only_sound("heavy rain^2 + (now and then)^.5 + like:a.wav@1-2^3") == (
        Words("heavy rain", 2.0),
        Words("now and then", 0.5),
        Example(Path("a.wav"), 1.0, 2.0, 3.0),
    )


def test_an_ampersand_asks_for_both_and_binds_weaker_than_plus() -> None:
    assert parse("a + b & c") == Query((Sound((Words("a"), Words("b"))), *words("c")))
    assert parse("a & duration:<10 & -b") == parse("a duration:<10 -b")


def test_then_asks_for_an_order() -> None:
    assert parse("dog barking then car door") == Query(
        words("dog barking", "car door"), in_order=True
    )
    limited = Query(words("a", "b", "c"), in_order=True, within_s=90.0)
    for text in ("a then[90] b then c", "a then b THEN [1:30] c", "a then[1.5min] b then[90 s] c"):
        assert parse(text) == limited


@pytest.mark.parametrize("joint", ["then", "and then", ", then", ", and then", "; then"])
def test_and_and_commas_before_then_belong_to_it(joint: str) -> None:
    text = f"rain {joint} wind".replace(" ,", ",").replace(" ;", ";")
    assert parse(text) == Query(words("rain", "wind"), in_order=True)


def test_then_in_now_and_then_and_at_the_edges_is_a_word() -> None:
    for text in ("birds now and then", "birds now and then a car", "then wind", "and then wind"):
        assert parse(text) == Query(words(text))
    assert not parse("rain then -music").in_order


# -- examples ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("like:a.wav", Example(Path("a.wav"))),
        ("LIKE:a.wav@1:30-1:40", Example(Path("a.wav"), 90.0, 100.0)),
        ("like:a.wav@1:02:05.5-", Example(Path("a.wav"), 3725.5, None)),
        ("like:a.wav@-500ms", Example(Path("a.wav"), None, 0.5)),
        ("like:a.wav@12.5\u201315", Example(Path("a.wav"), 12.5, 15.0)),
        ('like:"my file.wav"@12.5-15', Example(Path("my file.wav"), 12.5, 15.0)),
        ("like:\u201cmy file.wav\u201d^2", Example(Path("my file.wav"), weight=2.0)),
        ("like:me@home.wav", Example(Path("me@home.wav"))),
        ("like:take@2024-11-03.wav", Example(Path("take@2024-11-03.wav"))),
        ("like:me@home.wav@1-2", Example(Path("me@home.wav"), 1.0, 2.0)),
        ('like:"kick@1-2"', Example(Path("kick@1-2"))),
        ('like:"12"" single.wav"', Example(Path('12" single.wav'))),
        (r"like:C:\sounds\(1)\a.wav@1-2", Example(Path(r"C:\sounds\(1)\a.wav"), 1.0, 2.0)),
        ('like:"C:\\my sounds\\"', Example(Path("C:\\my sounds\\"))),
        ("like:#42", Archived(42)),
        ("like:#42@1:30-1:40^0.5", Archived(42, 90.0, 100.0, 0.5)),
        ('like:"#42"', Example(Path("#42"))),
        ("like:#1-kick.wav", Example(Path("#1-kick.wav"))),
        ("like:a,b:c.wav", Example(Path("a,b:c.wav"))),
        ("sound:wren^2", Taught("wren", 2.0)),
        ('sound:"my dog"', Taught("my dog")),
    ],
)
def test_examples_name_files_parts_and_recordings(text: str, term: Term) -> None:
    assert only_sound(text) == (term,)


def test_relative_files_start_from_the_folder_that_is_given(tmp_path: Path) -> None:
    query = parse(f"like:a.wav + like:{tmp_path}/b.wav -copyof:c", relative_to=Path("/sounds"))
    assert query.sounds[0].terms == (
        Example(Path("/sounds/a.wav")),
        Example(tmp_path / "b.wav"),
    )
    assert query.copies == (CopyOf(Path("/sounds/c"), negated=True),)


def test_a_tilde_is_the_home_folder_unless_in_quotation_marks() -> None:
    assert only_sound("like:~/a.wav") == (Example(Path.home() / "a.wav"),)
    assert only_sound('like:"~/a.wav"') == (Example(Path("~/a.wav")),)


def test_an_excluded_sum_stands_in_brackets() -> None:
    query = parse('rain -[like:"a].wav" + (b ] c) - x] -[music]')
    assert query.sounds == words("rain")
    assert query.without == (
        Sound((Example(Path("a].wav")), Words("b ] c"), Words("x", -1.0))),
        *words("music"),
    )


# -- conditions --------------------------------------------------------------------------------


def test_a_quoted_phrase_is_a_condition_on_the_text() -> None:
    tin_roof = Condition("text", (Text("tin roof"),))
    for text in (
        '"tin roof"',
        "\u201ctin roof\u201d",
        "\u201etin roof\u201c",
        "\u00abtin roof\u00bb",
    ):
        assert only_condition(text) == tin_roof
    assert only_condition('-"tin roof"') == Condition("text", (Text("tin roof"),), negated=True)
    assert len(parse('"a", "b" rain').conditions) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("duration:<1:30", Range(None, 90.0, includes_high=False)),
        ("duration:<=10s", Range(None, 10.0)),
        ("duration:>2min", Range(120.0, None, includes_low=False)),
        ("duration:>=500ms", Range(0.5, None)),
        ("duration:1:00..1:30", Range(60.0, 90.0)),
        ("duration:5..", Range(5.0, None)),
        ("duration:..5", Range(None, 5.0)),
        ("duration:>5..<6", Range(5.0, 6.0, includes_low=False, includes_high=False)),
        ("duration:10", Range(9.5, 10.5, includes_high=False)),
        ("duration:10.0", Range(9.95, 10.05, includes_high=False)),
        ("duration:=10", Range(10.0, 10.0)),
        ("duration:1:30", Range(89.5, 90.5, includes_high=False)),
        ("loudness:<-30", Range(None, -30.0, includes_high=False)),
        ("loudness:\u221230..-20dB", Range(-30.0, -20.0)),
        ("loudness:-23LUFS", Range(-23.5, -22.5, includes_high=False)),
        ("tempo:120\u2026130", Range(120.0, 130.0)),
        ("samplerate:>=48k", Range(48000.0, None)),
        ("samplerate:44.1kHz", Range(44100.0, 44100.0)),
        ("channels:stereo", Range(2.0, 2.0)),
        ("channels:5.1", Range(6.0, 6.0)),
        ("size:<10M", Range(None, 1e7, includes_high=False)),
        ("size:>=1MiB", Range(2.0**20, None)),
        ("silence:>50%", Range(0.5, None, includes_low=False)),
        ("id:42", Range(42.0, 42.0)),
        ("recorded:1962..1970", Range("1962", "1970")),
        ("recorded:<1962-05", Range(None, "1962-05", includes_high=False)),
        ("recorded:1962-05-21", Range("1962-05-21", "1962-05-21")),
        ("recorded:1962..1962-05", Range("1962", "1962-05")),
        ("recorded:1960s", Range("1960", "1969")),
        ("tag:rain", Text("rain")),
        ('tag:"heavy rain"', Text("heavy rain")),
        ("Tag:\u201cheavy, rain\u201d", Text("heavy, rain")),
        ('title:"say ""hi"""', Text('say "hi"')),
        ('title:"<3"', Text("<3")),
        ("path:animals/dog(s)", Text("animals/dog(s)")),
        ("key:Am", Text("Am")),
        ("has:Tags", Text("Tags")),
        ("licence:CC-BY-4.0", Text("CC-BY-4.0")),
    ],
)
def test_a_condition_has_a_value_in_the_unit_of_its_field(text: str, value: Text | Range) -> None:
    assert only_value(text) == value


def test_commas_separate_values_of_which_any_will_do() -> None:
    assert only_condition('-tag:rain,"heavy, wet",b') == Condition(
        "tag", (Text("rain"), Text("heavy, wet"), Text("b")), negated=True
    )
    assert only_condition("channels:1,>2").values == (
        Range(1.0, 1.0),
        Range(2.0, None, includes_low=False),
    )


def test_licence_may_be_spelt_in_both_ways() -> None:
    assert only_condition("license:CC0") == only_condition("licence:CC0")
    assert only_condition("-has:license") == only_condition("-has:licence")


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position", "advice"),
    [
        ("", 0, "say what to search for"),
        ("  ", 0, "say what to search for"),
        ("rain durtion:<10", 5, "did you mean duration:"),
        ("licences:CC0", 0, "did you mean licence:"),
        ("bpm:120", 0, "did you mean tempo:"),
        ("Foley:steps", 0, "write (Foley:steps)"),
        (r"C:\a.wav", 0, "write like: before it"),
        ("duration: <10", 0, "nothing follows duration: directly"),
        ("duration:< 10", 9, "without spaces"),
        ("duration:<10 min", 13, "write min directly after the number"),
        ("duration:abc", 9, "'abc' is no time; write duration:<1:30"),
        ("duration:10kHz", 9, "'kHz' is no unit of it"),
        ("duration:1:75", 9, "go up to 59"),
        ("duration:..", 9, "has no bound"),
        ("tempo:120-130", 6, "two dots: tempo:120..130"),
        ("loudness:-20..-30", 9, "write loudness:-30..-20"),
        ("channels:2.5", 9, "whole number"),
        ("size:1e999", 5, "no number as large"),
        ("recorded:1962-1970", 9, "two dots: recorded:1962..1970"),
        ("recorded:21.5.1962", 9, "write recorded:1962,"),
        ("recorded:1962-02-30", 9, "in no calendar"),
        ("recorded:1970..1962", 9, "write recorded:1962..1970"),
        ("tag:a, b", 6, "as tag:this,that"),
        ("tag:,a", 4, "a value is missing"),
        ('tag:""', 4, "empty value"),
        ('tag:"a"b', 7, "put a space"),
        ("title:<3", 6, 'title:"<3"'),
        ("has:tag", 4, "did you mean tags?"),
        ("has:feet", 4, "it has tags, title"),
        ('rain "tin roof', 5, "no quotation mark closes"),
        ("\u201ctin roof", 0, "no quotation mark closes"),
        ('""', 0, "no word between"),
        ('"tin roof"s', 10, "put a space after"),
        ("rain (heavy", 5, "no ) closes"),
        ("rain heavy)", 10, "closes nothing"),
        ("rain (a))", 8, "closes nothing"),
        ("(a)b", 3, "put a space after )"),
        ("rain -", 5, "write -music without a space"),
        ("- rain", 0, "write -music without a space"),
        ("-", 0, "write -music without a space"),
        ("rain --music", 5, "one minus is enough"),
        ("rain +", 5, "write rain + wind"),
        ("+ rain", 0, "write rain + wind"),
        ("rain + duration:<10", 5, "needs a sound on both sides"),
        ("rain &", 5, "needs something on both sides"),
        ("& rain", 0, "needs something on both sides"),
        ("a & b then c", 6, "either & or then"),
        ("then[5s] b", 0, "between two sounds"),
        ("a then[x] b", 2, "write the limit as in then[10s]"),
        ("a then[0] b", 2, "more than nothing"),
        ("a then[5 b", 2, "then[10s]"),
        ("a then[5] b then[6] c", 12, "one limit"),
        ("rain^2 on roof", 0, "end of a whole sound"),
        ("rain^0", 4, "not 0"),
        ("rain^1e999", 4, "a weight is a number"),
        ("^2", 0, "directly after a sound"),
        ("rain^-1", 0, "not only to take away"),
        ("like:a.wav rain", 11, "put + between"),
        ("like:rain (1).wav", 14, "file name with spaces"),
        ("like:a.wav@30", 5, "write @30- for"),
        ("like:a.wav@15-12", 5, "ends before it begins"),
        ("like:a.wav@1:99-2:00", 5, "go up to 59"),
        ('like:"a b"c', 5, "put a space"),
        ('like:" "', 5, "file's name"),
        ("like:" + "#" + "9" * 30, 5, "no recording has the number"),
        ("sound:", 0, "write sound:wren"),
        ("-[a & b]", 4, "holds one sound"),
        ("-[rain", 1, "no ] closes"),
        ("-[]", 0, "say what to leave out"),
        ("-[-[a]]", 3, "no brackets in brackets"),
        ("???", 0, "no word to search for"),
        ("()", 0, "no word to search for"),
        ("a\0b", 1, "U+0000"),
        ("a\ud800", 1, "U+D800"),
    ],
)
def test_an_error_says_where_and_what_to_write_instead(
    text: str, position: int, advice: str
) -> None:
    error = refusal(text)
    assert advice in str(error)
    assert error.position == position
    assert f"(at character {position + 1})" in str(error)


def test_a_query_has_a_greatest_length() -> None:
    parse("rain " * (MAX_LENGTH // 5))
    assert "10,000 characters" in str(refusal("rain " * (MAX_LENGTH // 5) + "."))


@pytest.mark.parametrize("piece", ["a then ", "(", "-[", "a & ", '"a" ', "a^2 + ", "x:", "tag:a,"])
def test_the_longest_queries_are_read_or_refused_at_once(piece: str) -> None:
    text = (piece * MAX_LENGTH)[: MAX_LENGTH - 2] + "a"
    try:
        assert parse(write(parse(text))) == parse(text)
    except QueryError as error:
        assert len(str(error)) < 1000


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query((Sound(()),)),
        Query(words(" ")),
        Query((Sound((Words("a", 0.0),)),)),
        Query((Sound((Words("a", float("nan")),)),)),
        Query((Sound((Words("a", -1.0),)),)),
        Query((Sound((Archived(-1),)),)),
        Query((Sound((Example(Path("a"), -1.0),)),)),
        Query((Sound((Example(Path("a"), 2.0, 1.0),)),)),
        Query((Sound((Example(Path("a\nb\0")),)),)),
        Query(words("a", "b"), in_order=True, within_s=0.0),
        Query(words("a"), conditions=(Condition("colour", (Text("red"),)),)),
        Query(words("a"), conditions=(Condition("tag", ()),)),
        Query(words("a"), conditions=(Condition("tag", (Range(1.0),)),)),
        Query(words("a"), conditions=(Condition("duration", (Text("a"),)),)),
        Query(words("a"), conditions=(Condition("duration", (Range(),)),)),
        Query(words("a"), conditions=(Condition("duration", (Range(float("inf")),)),)),
        Query(words("a"), conditions=(Condition("channels", (Range(1.5, 2.5),)),)),
        Query(words("a" * MAX_LENGTH + "a")),
    ],
)
def test_a_query_without_a_text_is_refused(query: Query) -> None:
    with pytest.raises(QueryError):
        write(query)


# -- round trips -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "dog barking -music -(heavy traffic) duration:<10",
        "bell & crowd",
        "a then[10s] b then[10s] c",
        "heavy rain^2 + like:a.wav@1.5-3 - voice^0.5",
        'rain "tin roof" -tag:rain,"heavy rain" -copyof:x/y',
        "duration:10 tempo:120.5 loudness:-23 samplerate:48000 channels:2,1 silence:0.25",
        "duration:>5..<6 size:<=1000 recorded:1962..1970 indexed:>=2026-01 id:42",
        "sound:wren & like:#42@1-",
    ],
)
def test_what_is_written_is_as_short_as_people_write(text: str) -> None:
    assert write(parse(text)) == text


def test_spaces_and_orders_without_meaning_are_not_written() -> None:
    assert write(Query(words(" rain  on\troof "), in_order=True, within_s=5.0)) == "rain on roof"


@pytest.mark.parametrize("number", [5e-324, 1e-7, 0.1, 1 / 3, 1e15, 1e22, 1.7e308])
def test_tiny_and_huge_numbers_are_kept(number: float) -> None:
    terms = (Words("a", number), Example(Path("b"), number), Example(Path("b"), None, number))
    values = (Range(number), Range(0.0, number, includes_high=False), Range(number, number))
    query = Query(
        (Sound(terms), Sound((Words("b"),))),
        conditions=(Condition("duration", values),),
        in_order=True,
        within_s=number,
    )
    assert parse(write(query)) == query
    assert len(write(query)) < 300


def up_to(
    most: int, values: st.SearchStrategy[T], least: int = 0
) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(values, min_size=least, max_size=most).map(tuple)


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12) | st.text(
    string.printable[:95] + "\u201c\u201d\u2013\u2212\u200b", min_size=1, max_size=12
)
NAMES = TEXTS.filter(lambda text: text.strip() != "")
PHRASES = (
    (
        TEXTS
        | st.lists(
            st.sampled_from(["and", "then", "now", "rain", "a,", "-x", "tag:b", ")", "\\("])
        ).map(" ".join)
    )
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: any(map(str.isalnum, text)))
)
POSITIVE = st.floats(1e-9, 1e9)
WEIGHTS = st.just(1.0) | POSITIVE
NEGATIVE = POSITIVE.map(lambda weight: -weight)
TIMES = st.floats(0.0, 1e6)
PARTS = st.one_of(
    st.just((None, None)),
    TIMES.map(lambda time_s: (time_s, None)),
    TIMES.map(lambda time_s: (None, time_s)),
    st.tuples(TIMES, TIMES).map(sorted).filter(lambda part: part[0] < part[1]).map(tuple),
)


def terms(weights: st.SearchStrategy[float]) -> st.SearchStrategy[Term]:
    return st.one_of(
        st.builds(Words, PHRASES, weights),
        st.builds(Taught, NAMES, weights),
        st.builds(
            lambda name, part, weight: Example(Path(name), *part, weight), NAMES, PARTS, weights
        ),
        st.builds(
            lambda number, part, weight: Archived(number, *part, weight),
            st.integers(0, 10**12),
            PARTS,
            weights,
        ),
    )


SOUNDS = st.builds(
    lambda first, others: Sound((first, *others)),
    terms(WEIGHTS),
    up_to(2, terms(WEIGHTS | NEGATIVE)),
) | st.builds(lambda first, last: Sound((first, last)), terms(NEGATIVE), terms(WEIGHTS))
DATES = st.dates().map(str).flatmap(lambda day: st.sampled_from([day, day[:7], day[:4]]))


def is_range(value: Range) -> bool:
    low, high = value.low, value.high
    if isinstance(low, str) and isinstance(high, str):
        return low[:4] < high[:4]
    return low is None or high is None or float(low) <= float(high)


def values_of(name: str) -> st.SearchStrategy[Text | Range]:
    field = FIELDS[name]
    if field.values:
        return st.sampled_from(field.values).map(Text)
    if field.kind in (Kind.TEXT, Kind.CHOICE):
        return NAMES.map(Text)
    bounds: st.SearchStrategy[float | str] = DATES
    if field.kind is Kind.NUMBER:
        whole = st.integers(-(10**9), 10**12).map(float)
        bounds = st.floats(-1e12, 1e12) | whole if field.measured else whole
    both = st.builds(Range, bounds, bounds, st.booleans(), st.booleans()).filter(is_range)
    if not (field.kind is Kind.NUMBER and field.measured):
        both = both.filter(lambda value: value.low != value.high)
    return st.one_of(
        both,
        bounds.map(lambda bound: Range(bound, bound)),
        st.builds(lambda low, inside: Range(low, None, inside), bounds, st.booleans()),
        st.builds(lambda high, inside: Range(None, high, True, inside), bounds, st.booleans()),
    )


CONDITIONS = (
    st.sampled_from(sorted(FIELDS))
    .flatmap(
        lambda name: st.builds(
            Condition,
            st.just(name),
            up_to(3, values_of(name), least=1),
            st.booleans(),
        )
    )
    .filter(
        lambda condition: (
            condition.field != "text"
            or all(any(map(str.isalnum, value.text)) for value in condition.values)
        )
    )
)
COPIES = st.builds(CopyOf, NAMES.map(Path), st.booleans())
ASKED = st.tuples(
    up_to(3, SOUNDS), up_to(2, SOUNDS), up_to(3, CONDITIONS), up_to(2, COPIES)
).filter(any)
QUERIES = ASKED.flatmap(
    lambda asked: st.builds(
        lambda limit: Query(*asked, in_order=limit is not None, within_s=limit or 30.0),
        st.none() | st.just(30.0) | POSITIVE if len(asked[0]) > 1 else st.none(),
    )
)


@settings(max_examples=200, deadline=None)
@given(QUERIES)
def test_what_is_written_is_read_as_the_same_query(query: Query) -> None:
    assert parse(write(query)) == query


PIECES = """
    rain wind then and now & + - " ( ) [ ] -music -( -[ then[5s] ^2 ^ : , .. < 10 1:30 @1-2 like:
    like:a.wav like:#3 sound:x tag: tag:a,b duration: duration:<10 "tin roof" -"x" copyof:a
    https://a.b C:\\a \\( \u201c \u201d \u2212 \u2013
"""
FRAGMENTS = st.sampled_from([" ", *PIECES.split()])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(FRAGMENTS, max_size=12).map("".join) | st.lists(FRAGMENTS).map(" ".join) | st.text()
)
def test_any_text_is_either_refused_with_a_place_or_survives_writing(text: str) -> None:
    try:
        query = parse(text)
    except QuerySyntaxError as error:
        assert 0 <= error.position <= len(text)
    else:
        assert parse(write(query)) == query
