"""The suite's file: what a crash left is mended, what is not of the suite is never changed."""

from __future__ import annotations

import pytest

from vecpress.bench import records

RECORD = records.Record("0123456789abcdef", "vecpress", "Sign", {"metric": "ip"}, None, {"name": "a set"}, recall=0.5)


def line(tmp_path) -> bytes:
    path = tmp_path / "one.jsonl"
    records.append(path, [RECORD])
    return path.read_bytes()


def test_records_come_back(tmp_path):
    path = tmp_path / "new" / "out.jsonl"
    assert records.read(path) == []
    records.append(path, [RECORD, RECORD])
    records.append(path, [RECORD])
    assert records.read(path) == [RECORD] * 3
    assert all(text.startswith(records.START) for text in path.read_text().splitlines())
    records.replace(path, [RECORD])
    assert records.read(path) == [RECORD] and [p.name for p in path.parent.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("before", [0, 2])
def test_a_line_cut_off_anywhere_is_replaced(tmp_path, before):
    whole, path = line(tmp_path), tmp_path / "out.jsonl"
    for cut in range(len(whole)):
        path.write_bytes(before * whole + whole[:cut])
        assert records.read(path) == [RECORD] * before
        records.append(path, [RECORD])
        assert path.read_bytes() == (before + 1) * whole


@pytest.mark.parametrize(
    "text",
    [
        b'{"what": "mine"}',
        b'{"key": "mine"}',
        b'{"key": "mine", "format": 2}',
        b"notes",
        b"[1]",
        b" ",
        b"\xff\xfe",
        b'{"k\xc3\xa9y": 1}',
        '{"key": "a\u2028b"}'.encode(),
    ],
)
@pytest.mark.parametrize("newline", [b"", b"\n"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_file_of_others_is_an_error_and_stays(tmp_path, text, newline, before):
    path = tmp_path / "notes.jsonl"
    whole = before * line(tmp_path) + text + newline
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=f"notes.jsonl, line {before + 1}: not a record of the suite"):
        records.read(path)
    if not newline:
        with pytest.raises(ValueError, match=r"notes.jsonl: its last line is not a record"):
            records.append(path, [RECORD])
    assert path.read_bytes() == whole
