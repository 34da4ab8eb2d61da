"""Tagged sentences: tag schemes to one span form, and the layouts that hold them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.errors import DataError
from tasks.readers import READERS
from tasks.readers.tags import each_token, tags_to_spans, well_formed


@pytest.fixture
def put(tmp_path):
    def write(data, name="file"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return write


def read(format, path, **options):
    return list(READERS[format](path, **options))


def surfaces(row):
    return [(row["text"][s["start"] : s["end"]], s["type"]) for s in row["spans"]]


# Tag schemes

# Spans of eight tokens: a of three, a directly after it, b of one, none, b of two, a of one.
SPANS = [(0, 3, "a"), (3, 4, "a"), (4, 5, "b"), (6, 8, "b"), (8, 9, "a")]
SCHEMES = {
    "IOB1": "I-a I-a I-a B-a I-b O I-b I-b I-a",
    "IOB2": "B-a I-a I-a B-a B-b O B-b I-b B-a",
    "BIOES": "B-a I-a E-a S-a S-b O B-b E-b S-a",
    "BMES": "B-a M-a E-a S-a S-b O B-b E-b S-a",
    "BMEWO": "B-a M-a E-a W-a W-b O B-b E-b W-a",
    "BILOU": "B-a I-a L-a U-a U-b O B-b L-b U-a",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_means_the_same_spans(scheme):
    assert tags_to_spans(SCHEMES[scheme].split()) == SPANS


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("I-a I-a O", [(0, 2, "a")]),  # I without B opens
        ("O I-a I-b I-b", [(1, 2, "a"), (2, 4, "b")]),  # another type opens
        ("B-a I-b", [(0, 1, "a"), (1, 2, "b")]),
        ("E-a E-a", [(0, 1, "a"), (1, 2, "a")]),  # E closes, so the next one opens again
        ("B-a E-a I-a", [(0, 2, "a"), (2, 3, "a")]),
        ("S-a I-a", [(0, 1, "a"), (1, 2, "a")]),
        ("B-a", [(0, 1, "a")]),
        ("", []),
        ("B-creative-work I-creative-work", [(0, 2, "creative-work")]),
    ],
)
def test_tags_that_no_scheme_writes(tags, spans):
    assert tags_to_spans(tags.split()) == spans


def conlleval(tags):
    """The spans that conlleval's tables of chunk starts and ends give, a border at a time."""
    ends = {"BB", "BO", "IB", "IO", "EB", "EI", "EO", "EE"}
    starts = {"BB", "IB", "OB", "OI", "EB", "EI", "EE", "OE"}
    marks = [(t[0], t[2:]) for t in tags]
    spans, opened = [], None
    for i, ((was, old), (now, new)) in enumerate(
        zip([("O", ""), *marks], [*marks, ("O", "")], strict=True)
    ):
        if opened is not None and (was + now in ends or (was != "O" and old != new)):
            spans.append((opened, i, old))
            opened = None
        if was + now in starts or (now != "O" and old != new):
            opened = i
    return spans


@settings(max_examples=400, derandomize=True, deadline=None, database=None)
@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "E-a", "B-b", "I-b", "E-b"]), max_size=9))
def test_any_tags_are_read_as_conlleval_reads_them(tags):
    assert tags_to_spans(tags) == conlleval(tags)


def _tagged(scheme, spans, length):
    """Writes spans in a scheme; the inverse that the reading is held to."""
    first, inside, last, alone = {"IOB2": "BIIB", "BIOES": "BIES", "BILOU": "BILU"}[scheme]
    tags = ["O"] * length
    for start, end, kind in spans:
        marks = alone if end - start == 1 else first + inside * (end - start - 2) + last
        tags[start:end] = [f"{mark}-{kind}" for mark in marks]
    return tags


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES", "BILOU"])
@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from("ab")), max_size=5))
def test_written_tags_are_read_back(scheme, steps):
    spans, at = [], 0
    for gap, length, kind in steps:
        spans.append((at + gap, at + gap + length, kind))
        at += gap + length
    assert tags_to_spans(_tagged(scheme, spans, at + 1)) == spans


def test_plain_tags_and_well_formed_ones():
    assert each_token(["NN", "O", ","]) == [(0, 1, "NN"), (1, 2, "O"), (2, 3, ",")]
    assert [t for t in ("O", "B-x", "W-x", "B-", "B", "NN", "X-PER", "b-x") if well_formed(t)] == [
        "O", "B-x", "W-x",
    ]  # fmt: skip


# CoNLL columns


def test_two_to_four_columns(put):
    for columns, tag in (("{w} {t}", -1), ("{w} NN {t}", 2), ("{w}\tNN\tI-NP\t{t}", 3)):
        lines = [columns.format(w=w, t=t) for w, t in (("Ann", "B-P"), ("Lee", "I-P"), (",", "O"))]
        (row,) = read("conll", put("\n".join(lines)), tag=tag)
        assert row == {
            "text": "Ann Lee ,",
            "spans": [{"start": 0, "end": 7, "type": "P"}],
            "tokens": [[0, 3], [4, 7], [8, 9]],
        }


def test_conll_of_characters_and_plain_tags(put):
    path = put("我 O\n在 O\n上 B-L\n海 I-L\n")
    (row,) = read("conll", path, joiner="")
    assert (row["text"], surfaces(row)) == ("我在上海", [("上海", "L")])
    (row,) = read("conll", put("a DT -\n, , -\n"), tag=1, plain=True)
    assert surfaces(row) == [("a", "DT"), (",", ",")]


def test_conll_keeps_other_blanks_inside_a_token(put):
    (row,) = read("conll", put("10\u00a0km B-Q\n\u200b O\r\n\r\nend O\n"))[:1]
    assert surfaces(row) == [("10\u00a0km", "Q")] and row["tokens"] == [[0, 5], [6, 7]]


# token:TAG lines


def test_token_tags_part_at_the_last_sign(put):
    (row,) = read("token_tags", put("at:O 10:30:B-Time am:I-Time ::O <=> <NULL>\n\n"))
    assert row["text"] == "at 10:30 am :" and surfaces(row) == [("10:30 am", "Time")]
    assert row["label"] == "<NULL>" and row["tokens"][-1] == [12, 13]


# Parallel files


def test_parallel_tags_keep_the_text_as_published(put):
    files = {
        "text": put("fly to  new york \nhi\n", "in"),
        "tags": put("O O B-city I-city \nO\n", "out"),
        "label": put("flight\ngreeting \n", "label"),
    }
    one, two = READERS["parallel_tags"](files)
    assert one["text"] == "fly to  new york" and surfaces(one) == [("new york", "city")]
    assert one["tokens"] == [[0, 3], [4, 6], [8, 11], [12, 16]] and one["label"] == "flight"
    assert two["spans"] == [] and two["label"] == "greeting"
    with pytest.raises(DataError, match="2 tags for 1 tokens"):
        list(READERS["parallel_tags"]({"text": put("a\n", "x"), "tags": put("O O\n", "y")}))


# CoNLL-U


def word(id, form, tag, misc="_"):
    return "\t".join([id, form, "_", tag, tag.lower(), "_", "0", "dep", "_", misc])


def test_conllu_words_stand_at_their_own_characters(put):
    lines = [
        "# newdoc id = d", "# sent_id = d-1", "# text = I don't  see «it».",
        word("1", "I", "PRON"), word("2-3", "don't", "_"), word("2", "do", "AUX"),
        word("3", "n't", "PART"), word("3.1", "gone", "VERB"), word("4", "see", "VERB"),
        word("5", "«", "PUNCT"), word("6", "it", "PRON"), word("7", "»", "PUNCT"),
        word("8", ".", "PUNCT"),
    ]  # fmt: skip
    (row,) = read("conllu", put("\n".join(lines) + "\n\n"))
    assert (row["id"], row["text"]) == ("d-1", "I don't  see «it».")
    assert surfaces(row) == [
        ("I", "PRON"), ("do", "AUX"), ("n't", "PART"), ("see", "VERB"), ("«", "PUNCT"),
        ("it", "PRON"), ("»", "PUNCT"), (".", "PUNCT"),
    ]  # fmt: skip
    assert row["tokens"] == [[s["start"], s["end"]] for s in row["spans"]]
    (lower,) = read("conllu", put("\n".join(lines)), tag="xpos")
    assert surfaces(lower)[0] == ("I", "pron")


def test_conllu_words_that_do_not_spell_their_token_share_its_characters(put):
    lines = [
        "# text = du vin au bar", word("1-2", "du", "_"), word("1", "de", "ADP"),
        word("2", "le", "DET"), word("3", "vin", "NOUN"), word("4-5", "au", "_"),
        word("4", "à", "X"), word("5", "le", "X"), word("6", "bar", "NOUN"),
    ]  # fmt: skip
    (row,) = read("conllu", put("\n".join(lines) + "\n"))
    assert surfaces(row) == [
        ("du", "ADP"), ("du", "DET"), ("vin", "NOUN"), ("au", "X"), ("bar", "NOUN"),
    ]  # fmt: skip
    assert row["tokens"] == [[0, 2], [3, 6], [7, 9], [10, 13]]


def test_conllu_without_a_text_line_and_with_blanks_inside_words(put):
    lines = [
        word("1-2", "can't", "_", "SpaceAfter=No"), word("1", "ca", "AUX"),
        word("2", "n't", "PART"), word("3", ",", "PUNCT"), word("4", "10 000", "NUM"),
    ]  # fmt: skip
    (row,) = read("conllu", put("\n".join(lines) + "\n"))
    assert row["text"] == "can't, 10 000"
    assert surfaces(row) == [("ca", "AUX"), ("n't", "PART"), (",", "PUNCT"), ("10 000", "NUM")]


@pytest.mark.parametrize(
    ("format", "data", "options"),
    [
        ("conll", "word NN\n", {}),
        ("conll", "word\n", {"plain": True}),
        ("token_tags", "a:O word\n", {}),
        ("token_tags", ":O\n", {}),
        ("token_tags", "a:NN\n", {}),
        ("conllu", "1\ta\tb\n", {}),
        ("conllu", "# text = you\n" + word("1", "I", "PRON") + "\n", {}),
        ("fewrel", json.dumps({"P1": [{"tokens": ["a"], "h": ["a"]}]}), {}),
        ("fewrel", "[1]", {}),
        ("quac", '{"data": [{"paragraphs": [{"qas": [{}], "context": ""}]}]}', {}),
        ("drop", '{"a": {"passage": "b"}}', {}),
    ],
)
def test_broken_files_name_the_file(put, format, data, options):
    path = put(data)
    with pytest.raises(DataError, match=path.name) as caught:
        read(format, path, **options)
    assert caught.value.expected
