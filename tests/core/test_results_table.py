"""Results tables: what upstream writes, what others make of it, and what is none."""

import random

import pytest

from cockpit.core.experiment import Status
from cockpit.core.results_table import Row, TableError, read_table, write_table

HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"
TABLE = (
    HEADER + "baseline\t0.997900\t44.0\tkeep\tbaseline\n"
    "bea057b\t0.986041\t43.9\tkeep\thalve batch 524K to 262K (more steps in 5 min)\n"
    "187e419\t0.982603\t60.2\tdiscard\tadd 5% warmup\n"
    "e05a87d\t0.000000\t0.0\tcrash\tbatch 131K (assert fail: not divisible)\n"
)


def says(content: bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.says) for problem in read_table(content).problems]


def test_upstreams_table_is_read_whole_and_written_again_byte_for_byte() -> None:
    table = read_table(TABLE.encode())
    assert table.problems == ()
    assert [row.status for row in table.rows] == ["kept", "kept", "discarded", "crashed"]
    assert table.rows[1] == Row(
        3, "bea057b", 0.986041, 43.9, Status.KEPT, "halve batch 524K to 262K (more steps in 5 min)"
    )
    assert (table.rows[3].val_bpb, table.rows[3].memory_gb) == (None, None)
    assert write_table(table.rows) == TABLE


@pytest.mark.parametrize(
    "content",
    [
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace("\n", "\r").encode(),
        b"\xef\xbb\xbf" + TABLE.encode(),
        TABLE.encode("utf-16"),
        ("\n\n" + TABLE + "\n \t \n").encode(),
        TABLE.replace("\t", ",").encode(),
        TABLE.rstrip("\n").encode(),
        TABLE.replace("keep", "KEPT").replace("discard", " Discarded ").encode(),
        TABLE.replace("\n", "\t\t\n").replace("description\t\t", "description").encode(),
    ],
    ids=["crlf", "cr", "bom", "utf-16", "blank", "commas", "no last end", "words", "trailing tabs"],
)
def test_how_a_table_was_saved_does_not_matter(content: bytes) -> None:
    table = read_table(content)
    assert (write_table(table.rows), table.problems) == (TABLE, ())


def test_columns_are_found_by_name_and_the_further_ones_are_kept() -> None:
    names = ["Idea", "status", *(f"figure {n}" for n in range(46)), "VAL BPB", "sha"]
    cells = ["halve the batch", "keep", *(str(n) for n in range(46)), "0.98", "bea057b"]
    content = "\t".join(names) + "\n" + "\t".join(cells) + "\n"
    (row,) = read_table(content.encode()).rows
    assert (row.description, row.val_bpb, row.commit) == ("halve the batch", 0.98, "bea057b")
    assert row.memory_gb is None
    assert len(row.others) == 46
    assert row.others[7] == ("figure_7", "7")


def test_what_a_line_lacks_is_told_with_its_number_and_the_others_are_read() -> None:
    content = TABLE + (
        "aaaaaaa\t0.98\t60.2\n"
        "bbbbbbb\t\t60.2\tkeep\tno score\n"
        "ccccccc\tfast\t60.2\tdiscard\tno number\n"
        "ddddddd\t-1\t60.2\tdiscard\tnegative\n"
        "eeeeeee\t0.98\t60.2\tmaybe\tno verdict\n"
        "fffffff\t0.98\tmuch\tdiscard\n"
        "ggggggg\tnan\t60.2\tdiscard\ta tab\tin the text\n" + "h" * 30_000 + "\n"
        "iiiiiii\t0.97\t60.2\tkee"
    )
    table = read_table(content.encode())
    assert [problem.line for problem in table.problems] == [6, 7, 8, 9, 10, 13, 14]
    told = [problem.says for problem in table.problems]
    assert told[:4] == [
        "it has no status",
        "it is kept without a val_bpb",
        "its val_bpb is 'fast', not a number",
        "its val_bpb is -1: it can't be negative",
    ]
    assert told[4].startswith("its status is 'maybe', none of keep, kept")
    assert told[5:] == ["it is 30,000 characters long", "it is torn off: 4 of 5 cells"]
    short, tabs = table.rows[-2:]
    assert (short.memory_gb, short.description) == (None, "")
    assert (tabs.val_bpb, tabs.description) == (None, "a tab in the text")


def test_what_stands_above_the_first_kept_row_was_compared_with_nothing() -> None:
    content = HEADER + "a\t0.9\t1\tdiscard\tfirst\nb\t0.99\t1\tkeep\tsecond\n"
    assert says(content.encode()) == [(2, "it stands above the first kept row")]
    assert read_table(content.encode()).rows[0].commit == "b"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\n \n\r\n", "it is empty"),
        (b"\x7fELF\x02\x01\x01\0\0\0", "it is not text"),
        (random.Random(1).randbytes(5000), "it is not text"),
        (bytes(range(128, 256)) * 9, "its header has no column val_bpb and no column status"),
        (b"baseline\t0.99\t44.0\tkeep\tbaseline\n", "its header has no column val_bpb"),
        (b"name,age\nx,1\n", "its header has no column val_bpb"),
        (b"val_bpb\tstatus\tval_bpb\n1\tkeep\t2\n", "its header has the column val_bpb twice"),
        (HEADER.encode(), "none of its lines is a kept experiment"),
        (HEADER.encode() + b"a\t0.9\t1\tdiscard\tx\n", "none of 1 rows is a kept experiment"),
        (HEADER.encode() + b"a\t0.9\n", "(line 2: it has no status)"),
        (b"x" * 1_000_000, "its first line is too long"),
        (b'"' + b"val_bpb,\xff\xfe", "its header has no column"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(content: bytes, why: str) -> None:
    with pytest.raises(TableError) as refusal:
        read_table(content)
    assert why in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_what_separates_the_cells_may_stand_in_the_description() -> None:
    content = b'val_bpb,status,description\n0.9,keep,depth 9, dim 640\n0.8,keep,"a, b"\n'
    assert [row.description for row in read_table(content).rows] == ["depth 9, dim 640", "a, b"]


def test_the_first_of_two_names_for_a_column_counts() -> None:
    content = b"title\tval_bpb\tbpb\tstatus\tdescription\nA\t0.9\t7\tkeep\tB\n"
    (row,) = read_table(content).rows
    assert (row.val_bpb, row.description) == (0.9, "B")
    assert row.others == (("title", "A"), ("bpb", "7"))


def test_an_old_encoding_costs_no_row() -> None:
    content = (HEADER + "a\t0.9\t1\tkeep\tcafé\n").encode("latin-1")
    assert read_table(content).rows[0].description == "café"


def test_a_cell_that_is_written_is_one_clean_line() -> None:
    row = Row(0, "abc\t1", 0.5, 1e9, Status.INVALID, "two\nlines\tand \x1b[31mred")
    assert (
        write_table([row]) == HEADER + "abc 1\t0.500000\t1000000000.0\tinvalid\ttwo lines and red\n"
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_file_brings_anything_but_a_table_or_a_refusal(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(TABLE.encode())
    for _ in range(chance.randrange(1, 40)):
        at = chance.randrange(len(content))
        content[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    try:
        table = read_table(bytes(content))
    except TableError:
        return
    assert table.rows[0].status is Status.KEPT
    assert read_table(write_table(table.rows).encode()).problems == ()
