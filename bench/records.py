"""One JSON line a run: what the suite writes, and the report and the README's tables read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
START = '{"key": "'  # of every line
DIGITS = "0123456789a"  # how many of the 10 are right, one character a query


@dataclass
class Record:
    """One contender on one data set with one seed: what was measured, and everything needed to measure it again.

    key : of (data set and its contents, contender, seed, threads, versions, and for ours the commit): a run whose key is in the
    file is not done again
    status : "ok", "failed" (error says why) or "missing" (the library is not installed; the line is there so that it shows)
    data : name, metric, dim, n_base, n_train, n_query, n_figures (queries that figures come from), checksum of its vectors,
    bound ([bytes a vector, the least distortion of a Gaussian source with its spectrum])
    budget : bytes a vector that were asked for; code_size: bytes a vector that are stored, factors included
    held_nbytes, state_nbytes, file_nbytes : contender.Nbytes
    recall, recall_1, recall_wide : 10@10, 1@10, 10@100, exhaustive, no reranking, ties counted
    hits : of the 10, how many each query found, one of DIGITS a query: what paired intervals are computed from
    ndcg, success : @10, by relevance labels; None where the set has none, or is said not to be judged by them
    distortion : mean squared error of decoded vectors by the vectors' variance; None where it cannot decode
    fit_seconds, encode_per_second (vectors), latency_p50, latency_p99 (seconds, one query at a time), search_per_second
    (queries in one batch, k=10; search_wide_per_second: k=100), peak_memory (bytes the process had at most, less those before
    the index was made)
    machine : cpu, cpus, threads, cache (bytes of the last level), isa (what our kernels run on),
    load_before and load_beside (processors that others used just before and during the
    run), read_rate (bytes/s of the plain read loop on one thread, same process, over read_nbytes: as many as the codes have, at
    most 64 MiB)
    versions : of Python, NumPy, the library measured and vecpress; commit : of vecpress, "+" behind it where files were changed
    """

    key: str
    library: str
    codec: str
    config: dict[str, Any]
    seed: int | None
    data: dict[str, Any]
    status: str = "ok"
    error: str | None = None
    notes: str = ""
    budget: int | None = None
    code_size: float | None = None
    held_nbytes: float | None = None
    state_nbytes: int | None = None
    file_nbytes: int | None = None
    recall: float | None = None
    recall_1: float | None = None
    recall_wide: float | None = None
    hits: str | None = None
    ndcg: float | None = None
    success: float | None = None
    distortion: float | None = None
    fit_seconds: float | None = None
    encode_per_second: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None
    search_per_second: float | None = None
    search_wide_per_second: float | None = None
    peak_memory: int | None = None
    date: str = ""
    commit: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


def key_of(
    data: dict[str, Any],
    library: str,
    codec: str,
    config: dict[str, Any],
    seed: int | None,
    threads: int,
    versions: dict[str, str],
) -> str:
    """Sixteen hex digits of what a run depends on."""
    text = json.dumps([data, library, codec, config, seed, threads, versions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(path: Path) -> list[Record]:
    """The records of a .jsonl file; a last line that was cut off by a crash is left out. ValueError names a bad line."""
    records = []
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    *lines, last = text.split("\n")
    if not _is_cut_off(last):
        lines.append(last)
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if values.get("format") != FORMAT:
                raise ValueError(f"format {values.get('format')!r}, expected {FORMAT}")
            records.append(Record(**values))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: not a record of the suite: {error}") from None
    return records


def _is_cut_off(text: str) -> bool:
    """Whether text behind the last newline is the beginning of a record, or nothing."""
    if not text.startswith(START):
        return START.startswith(text)
    try:
        values = json.loads(text)
    except ValueError:
        return True
    return bool(values.get("format") == FORMAT)  # only the newline is missing


def append(path: Path, records: Iterable[Record]) -> None:
    """Adds lines, whole or not at all as far as the disk allows; the line that a crash cut off is replaced.

    ValueError for a last line that is unfinished and none of ours; then nothing is changed.
    """
    text = "".join(json.dumps(asdict(record), allow_nan=False) + "\n" for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as file:
        file.seek(0)
        there = file.read()
        whole = there.rfind(b"\n") + 1
        if not _is_cut_off(there[whole:].decode(errors="replace")):
            raise ValueError(f"{path}: its last line is not a record of the suite")
        file.truncate(whole)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, records: Iterable[Record]) -> None:
    """Makes the file hold these records and no others: it is the old one or the new one, whatever happens."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    append(partial, records)
    partial.replace(path)
