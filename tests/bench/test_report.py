"""Reports say what was planted: winners, losers, failures; their pictures are well formed and no text covers another."""

from __future__ import annotations

import html
import itertools
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from vecpress.bench import records, report
from vecpress.bench.report import readme, scales, svg, verdicts
from vecpress.bench.report.summary import paired, summarise

ROOT = Path(__file__).parents[2]
QUERIES = 400


def data_of(name: str = "letters", n_query: int = QUERIES, **more) -> dict:
    return {
        "name": name, "metric": "ip", "dim": 384, "n_base": 5000, "n_train": 4000, "n_query": n_query, "n_figures": n_query,
        "checksum": f"{name}-1", **more,
    }  # fmt: skip


def record(codec: str, size: int, found: float, library: str = "vecpress", seed: int | None = 0, **more) -> records.Record:
    """A run whose queries found `found` of their 10 on average: each the two whole numbers around it, in a fixed order."""
    data = more.pop("data", None) or data_of()
    draw = np.random.default_rng([seed or 0, size]).random(data["n_query"])
    counts = np.floor(found + draw).clip(0, 10).astype(int)
    machine = {"cpu": "Test CPU", "cpus": 2, "threads": 1, "isa": "avx2", "read_rate": 2e10, "load_before": 0.2, "load_beside": 0}
    values = {
        "config": {"m": size}, "budget": None, "code_size": size, "held_nbytes": 0.5, "state_nbytes": 40_000,
        "file_nbytes": 10**6, "recall": float(counts.mean() / 10), "recall_1": 0.9, "recall_wide": 0.99,
        "hits": "".join(records.DIGITS[c] for c in counts), "fit_seconds": 2.5, "encode_per_second": 50_000.0,
        "latency_p50": 1e-4, "latency_p99": 2e-4, "search_per_second": 10_000.0, "peak_memory": 10**7,
        "date": "2026-01-02T03:04:05+00:00", "commit": "0123456789ab", "machine": machine,
        "versions": {"python": "3.11", library: "1.2.3"},
    }  # fmt: skip
    name = f"{data['name']} {library} {codec} {size} {seed}"
    return records.Record(name, library, codec, seed=seed, data=data, **{**values, **more})


def planted() -> list[records.Record]:
    """Ours is ahead at 32 bytes, a peer at 48, neither at 96; one is faster at equal recall; others fail or are not there."""
    ours = [record("OPQ", size, hits, seed=s) for s in (0, 1, 2) for size, hits in ((32, 6.9), (48, 7.0), (96, 9.5))]
    peers = [record("IndexPQ", size, hits, "faiss", seed=s) for s in (0, 1, 2) for size, hits in ((32, 6.1), (96, 9.5))]
    return [
        *ours, *peers,
        record("IndexQuick", 56, 7.8, "other", seed=None),
        record("IndexQuick", 96, 9.5, "other", seed=None, search_per_second=25_000.0),
        record("Broken", 32, 1, "faiss", status="failed", error="RuntimeError: no <luck> & no mercy", recall=None, hits=None),
        records.Record("gone", "scann", "ScaNN", {}, None, {}, status="missing", error="No module named 'scann'"),
    ]  # fmt: skip


def realistic(families: int = 9) -> list[records.Record]:
    """Many codecs of much the same recall at the same sizes: the hardest for labels."""
    found = []
    for name in ("crowded", "crowded white"):
        bound = [[size, 2.0 ** (-2 * 8 * size / 64)] for size in (8, 16, 24, 32, 48, 64, 96, 128)]
        data = data_of(name, **({"bound": bound} if "white" in name else {}))
        for library in ("vecpress", "faiss"):
            for i in range(families):
                for size in (16, 24, 32, 48, 64, 96):
                    hits = 10 / (1 + np.exp(1.1 - 0.03 * size - 0.02 * i))
                    speed = 9000.0 * (1 + 0.01 * i) * 48 / size
                    found.append(
                        record(
                            f"Codec{'ABCDEFGHIJKLMNOP'[i]}", size, hits, library, None, data=data, search_per_second=speed,
                            distortion=2 ** (-8 * size / 64) * (1 + 0.1 * i), ndcg=0.5 + size / 400, success=0.8,
                        )
                    )  # fmt: skip
    return found


def made(tmp_path: Path, found: list[records.Record]) -> str:
    """The report of the records."""
    lines = tmp_path / "suite-test.jsonl"
    lines.unlink(missing_ok=True)
    records.append(lines, found)
    report.write([lines], tmp_path / "report.html")
    return (tmp_path / "report.html").read_text()


def words(page: str) -> str:
    """What a reader sees of it."""
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.S)))


def drawings(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.S)]


# ---- what it says


def test_budgets_say_who_is_ahead(tmp_path):
    text = words(made(tmp_path, planted()))
    at_32 = re.search(r"At 32 bytes: (.*?)It costs (.*?)\n", text)
    assert re.search(r"OPQ\(m=32\) of ours, 32 bytes, recall 0\.(68|69)\d \(worst of 3 seeds 0\.\d+\)", at_32[1])
    assert "best peer faiss IndexPQ(m=32)" in at_32[1] and at_32[1].rstrip().endswith("ours finds more.")
    assert "0.5 bytes a vector held" in at_32[2] and "40 kB once" in at_32[2] and "2.5 s to fit" in at_32[2]
    at_48 = re.search(r"At 48 bytes: (.*?)It costs", text)[1]
    assert "other IndexQuick(m=56), 56 bytes, 1.17 times the budget" in at_48 and "the peer finds more" in at_48
    assert "show no difference" in re.search(r"At 96 bytes: (.*?)It costs", text)[1]


def test_difference_and_interval_are_the_planted_ones():
    ours, peer = (summarise([record("A", 32, h, seed=s) for s in (0, 1)]).sets[0].runs[0] for h in (7.25, 7.0))
    interval = paired(ours, peer)
    share = ours.shares - peer.shares
    assert interval.difference == pytest.approx(share.mean()) and 0 < interval.difference < 0.05
    half = 1.96 * share.std() / np.sqrt(QUERIES)  # the normal approximation
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert paired(peer, peer) == (0, 0, 0)


def test_equal_bytes_are_up_to_a_fifth_more(tmp_path):
    for size, counts in ((38, True), (39, False)):
        data = summarise([record("A", 32, 5), record("A", 64, 6), record("B", size, 8, "peer")]).sets[0]
        first = verdicts.choices(data)[0]
        assert first.budget == 32 and (first.peer is not None) == counts


def test_a_smaller_peer_is_no_comparison_at_equal_bytes():
    data = summarise([record("A", 96, 9), record("B", 32, 6, "peer")]).sets[0]
    assert [c.ahead for c in verdicts.choices(data) if c.ours and c.peer] == ["unequal"]


def test_a_few_bytes_less_are_not_equal_bytes_either():
    data = summarise([record("A", 32, 9), record("B", 28, 6, "peer")]).sets[0]
    assert [c.ahead for c in verdicts.choices(data) if c.ours and c.peer] == ["unequal"]
    data = summarise([record("A", 32, 9), record("A", 28, 8), record("B", 28, 6, "peer")]).sets[0]
    assert "ours" in [c.ahead for c in verdicts.choices(data) if c.ours and c.peer]  # no more bytes than the peer
    data = summarise([record("A", 32, 9), record("B", 28, 6, "peer"), record("B", 36, 5, "peer")]).sets[0]
    assert "ours" in [c.ahead for c in verdicts.choices(data) if c.ours and c.peer]  # a peer of equal bytes finds less still


def test_nothing_is_claimed_from_few_vectors():
    runs = [record("A", 32, 9, data=data_of(n_base=46)), record("B", 32, 6, "peer", data=data_of(n_base=46))]
    assert not summarise(runs).sets[0].claims and not verdicts.recall_wins(summarise(runs).sets[0])


def test_a_second_peer_that_beats_ours_is_listed_too():
    runs = [record("A", 32, 7), record("B", 32, 8.5, "peer"), record("C", 36, 7.8, "peer")]
    wins = verdicts.recall_wins(summarise(runs).sets[0])
    assert [(w.budget, w.peer.codec) for w in wins] == [(32, "B"), (32, "C")]


def test_a_peer_of_many_more_bytes_is_no_comparison():
    """Where ours was not measured near a budget: its best smaller one says nothing beside a peer of half as many bytes more."""
    data = summarise([record("A", 32, 7), record("B", 48, 8.5, "peer")]).sets[0]
    assert not verdicts.recall_wins(data)
    assert [c.ahead for c in verdicts.choices(data) if c.ours and c.peer] == ["unequal"]


def test_speed_at_100_is_bought_with_recall_among_100():
    ours = record("A", 32, 8, search_wide_per_second=1000.0, recall_wide=0.99)
    peer = record("B", 32, 8, "peer", search_wide_per_second=5000.0, recall_wide=0.90)
    what = [w.what for w in verdicts.speed_wins(summarise([ours, peer]).sets[0])[0]]
    assert what == ["search of 100 in a batch"]
    worse = record("A", 32, 8, search_wide_per_second=1000.0, recall_wide=0.80)
    assert not verdicts.speed_wins(summarise([worse, peer]).sets[0])[0]


def test_fewest_bytes_are_measured_ones(tmp_path):
    text = words(made(tmp_path, planted()))
    table = text[text.index("Fewest bytes") : text.index("Pictures")]
    rows = [" ".join(row.split()) for row in table.splitlines()]
    assert any(row.startswith("ours 0.90 96 OPQ(m=96) 0.9") for row in rows)
    assert any(row.startswith("ours 0.99 not reached best: OPQ(m=96), 96 bytes 0.9") for row in rows)


def test_where_a_peer_is_better(tmp_path):
    text = words(made(tmp_path, planted()))
    section = text[text.index("Where a peer is better") : text.index("Which codec")]
    rows = [" ".join(row.split()) for row in section.splitlines() if row.strip().startswith("letters  ")]
    recall = [row for row in rows if " 48 recall other IndexQuick(m=56) 56 OPQ(m=48) 48 " in row]
    assert recall and "95 % interval -" in recall[0]
    fast = [row for row in rows if " 96 search in a batch other IndexQuick(m=96) 96 OPQ(m=96) 96 2.50 times as fast" in row]
    assert fast and fast[0].endswith("0.20")
    assert len(rows) == 2


@pytest.mark.parametrize(
    "machine", [{"load_before": 0.7}, {"load_before": 0.2, "load_beside": 1.5}, {"load_before": None}, {"threads": 2}]
)
def test_speeds_of_a_busy_or_another_machine_are_not_judged(machine):
    found = planted()
    for r in found:
        if r.codec == "IndexQuick":
            r.machine.update(machine)
    wins, left_out = verdicts.speed_wins(summarise(found).sets[0])
    assert not wins and left_out > 0


def test_no_claim_from_few_queries(tmp_path):
    few = data_of("few", 250)
    page = words(made(tmp_path, [record("A", 32, 7, data=few), record("B", 32, 9, "peer", data=few)]))
    assert page.count("no claim") >= 3 and "finds more." not in page and "few  250" not in page
    assert not verdicts.recall_wins(summarise([record("A", 32, 7, data=few), record("B", 32, 9, "peer", data=few)]).sets[0])


def test_failures_and_missing_libraries_are_said(tmp_path):
    page = made(tmp_path, planted())
    assert "no &lt;luck&gt; &amp; no mercy" in page and "<luck>" not in page
    assert re.search(r"not installed\s+all\s+scann ScaNN\s+\S\s+No module named 'scann'", words(page))


def test_everything_to_repeat_it(tmp_path):
    text = words(made(tmp_path, planted()))
    for part in ("0123456789ab", "Test CPU", "faiss 1.2.3", "letters-1", '{"m": 56}', "0, 1, 2", "2026-01-02 03:04", "20.0 GB/s"):
        assert part in text, part


def test_the_later_of_two_runs_counts():
    old, new = record("A", 32, 5), record("A", 32, 8, date="2026-02-01T00:00:00+00:00")
    for order in ([old, new], [new, old]):
        (run,) = summarise(order).sets[0].runs
        assert run.records == [new]


def test_fits_in_cache_or_not(tmp_path):
    page = words(made(tmp_path, [record("A", size, 7, data=data_of(n_base=10**6)) for size in (16, 64)]))
    assert "those of up to 32 bytes a vector fit in a last-level cache of 32 MB" in page


# ---- robustness

CASES = {
    "empty": [],
    "one": [record("A", 32, 7)],
    "only failures": [record("A", 32, 7, status="failed", error=None, code_size=None, recall=None)],
    "only missing": [records.Record("x", "scann", "ScaNN", {}, None, {}, status="missing")],
    "only peers": [record("A", 32, 7, "faiss"), record("A", 48, 8, "faiss")],
    "nothing known": [records.Record("x", "vecpress", "A", {}, None, {})],
    "perfect": [record("A", 32, 10), record("B", 32, 10, "peer")],
    "none found": [record("A", 32, 0), record("B", 32, 0, "peer")],
    "no counts": [record("A", 32, 7, hits=None), record("B", 32, 7, "peer", hits=None)],
    "other queries": [record("A", 32, 7, hits="55"), record("B", 32, 7, "peer", hits="555")],
    "no speeds": [
        record(c, 32, 7, lib, machine={}, search_per_second=None, latency_p50=None, encode_per_second=None, fit_seconds=None)
        for c, lib in (("A", "vecpress"), ("B", "peer"))
    ],
    "no distortion at all": [record("A", 32, 7, distortion=0.0)],
    "wild names": [record('<b>"&', 32, 7, config={"a<": ["</svg>", {"x": None}]}), record("|\n", 32, 7, "p<q")],
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_any_file_gives_a_report(tmp_path, name):
    page = made(tmp_path, CASES[name])
    drawings(page)
    assert page.endswith("</html>\n")
    if name == "wild names":
        assert '<b>"' not in page and "&lt;b&gt;" in page and "a<=" not in page and page.count("<svg") == page.count("</svg>")
    if name in ("empty", "only missing"):
        assert "There is nothing to report" in page
    if name == "only failures":
        assert "nothing to compare" in page and "no error recorded" in page
    if name == "no counts":
        assert "no interval" in page


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl"):
        report.write([tmp_path / "gone.jsonl"], tmp_path / "r.html")
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1"):
        report.write([tmp_path / "bad.jsonl"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_command_line(tmp_path):
    lines = tmp_path / "a.jsonl"
    records.append(lines, planted())
    command = [sys.executable, "-m", "vecpress.bench.report", str(lines), "-o", str(tmp_path / "out.html")]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "out.html").read_text() == made(tmp_path, planted()).replace("suite-test.jsonl", "a.jsonl")


# ---- pictures


def test_no_network_reference_and_no_script(tmp_path):
    page = made(tmp_path, realistic())
    assert not re.search(r"<(script|link|img|iframe|object)|@import|url\(|\bsrc=", page)
    assert set(re.findall(r"https?://[^\"' <]*", page)) <= {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r'href="(.)', page)) == {"#"}


def label_boxes(picture: ET.Element) -> list[tuple[str, svg.Box]]:
    """The boxes of the texts in a picture, read back from it."""
    found = []
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        size, words_ = float(text.get("font-size")), text.text or ""
        if turned := text.get("transform"):
            x, y = map(float, re.findall(r"translate\(([\d.]+) ([\d.]+)\)", turned)[0])
            half = svg.text_width(words_, size) / 2
            found.append((words_, svg.Box(x - 0.8 * size, y - half, x + 0.24 * size, y + half)))
        else:
            bold = "bold" in (text.get("class") or "")
            x, y = float(text.get("x")), float(text.get("y"))
            found.append((words_, svg.text_box(x, y, words_, size, text.get("text-anchor"), bold)))
    return found


LONG = data_of("Passages and questions of a set of vectors, of whose name nobody has seen the end")
FILES = {
    "planted": planted(), "many": realistic(), "more": realistic(14), "one": [record("A", 32, 7)],
    "long names": [record("A" * 50, 32, 7, data=LONG), record("B" * 50, 32, 7.5, "peer" * 9, data=LONG)],
}  # fmt: skip


@pytest.mark.parametrize("found", FILES.values(), ids=FILES)
def test_no_text_covers_another_or_is_cut(tmp_path, found):
    pictures = drawings(made(tmp_path, found))
    assert pictures
    for picture in pictures:
        boxes = label_boxes(picture)
        width, height = float(picture.get("width")), float(picture.get("height"))
        for i, (text, box) in enumerate(boxes):
            assert box.left >= 0 and box.top >= 0 and box.right <= width and box.bottom <= height, text
            for other, other_box in boxes[:i]:
                assert not box.meets(other_box), (text, other)


def test_every_codec_is_named_in_its_picture(tmp_path):
    for picture in drawings(made(tmp_path, realistic()))[:2]:
        texts = " ".join(text for text, _ in label_boxes(picture))
        assert all(f"Codec{letter}" in texts for letter in "ABCDEFGHI")


def test_pictures_speak(tmp_path):
    for picture in drawings(made(tmp_path, planted())):
        assert picture.get("role") == "img" and picture.get("aria-label")
        assert picture.find("{http://www.w3.org/2000/svg}desc").text


def test_recall_axis_separates_the_high_recalls():
    y = scales.recall_axis([0.3, 0.999], (400, 0))
    places = [y.to_pixel(r) for r in (0.5, 0.9, 0.95, 0.99)]
    assert all(a - b > 25 for a, b in itertools.pairwise(places))
    assert {"0.9", "0.95", "0.99"} <= {text for _, text in y.ticks}


def test_marks_are_where_the_figures_say(tmp_path):
    """Equal recalls at doubled sizes are equally far apart, at the same height."""
    page = made(tmp_path, [record("A", size, 8.0, hits="8" * QUERIES, recall=0.8) for size in (16, 32, 64)])
    solid = [p for p in drawings(page)[0].iter("{http://www.w3.org/2000/svg}path") if "solid" in p.get("class")]
    named = {p[0].text: re.match(r"M([\d.]+) ([\d.]+)a([\d.]+)", p.get("d")) for p in solid if len(p)}
    places = [(float(m[1]) + float(m[3]), float(m[2])) for _, m in sorted(named.items())]  # the circles' middles
    assert [tip.split(":")[0] for tip in sorted(named)] == ["A(m=16)", "A(m=32)", "A(m=64)"]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert y0 == y1 == y2 and x0 < x1 and x1 - x0 == pytest.approx(x2 - x1, abs=0.2)


# ---- bounds


def test_the_bound_is_drawn_where_it_is_known(tmp_path):
    page = made(tmp_path, realistic())
    pictures = {p.get("aria-label"): label_boxes(p) for p in drawings(page) if "distortion" in p.get("aria-label")}
    assert any("Gaussian bound" in text for text, _ in pictures["crowded white: distortion for bytes"])
    assert not any("Gaussian bound" in text for text, _ in pictures["crowded: distortion for bytes"])


# ---- the README


def clone(tmp_path: Path, found: list[records.Record]) -> Path:
    """A root with results, a README with markers, and docs."""
    root = tmp_path / "clone"
    (root / "docs").mkdir(parents=True)
    records.append(root / "bench" / "results" / "suite-test.jsonl", found)
    blocks = "\n\n".join(f"{readme.marker(name)}\nold\n{readme.END}" for name in readme.TABLES)
    (root / "README.md").write_text(f"# Title\n\n{blocks}\n\nend\n")
    return root


def test_readme_is_filled_and_its_check_finds_stale_ones(tmp_path):
    root = clone(tmp_path, planted())
    with pytest.raises(SystemExit, match="stale"):
        readme.main(["--check"], root)
    readme.main([], root)
    readme.main(["--check"], root)
    text = (root / "README.md").read_text()
    assert "old" not in text and text.startswith("# Title\n") and text.endswith("\nend\n")
    assert re.search(r"\| letters \| 48 \| `OPQ\(m=48\)` \| 48 \| .* \| other IndexQuick\(m=56\) \| 56 \|", text)
    assert "| letters | 0.99 | not reached |" in text and "2.50 times as fast" in text
    picture = root / "docs" / "recall.svg"
    assert ET.fromstring(picture.read_text()).get("role") == "img" and "prefers-color-scheme:dark" in picture.read_text()
    picture.write_text(picture.read_text() + " ")
    with pytest.raises(SystemExit, match="stale"):
        readme.main(["--check"], root)


def test_the_newest_results_are_taken(tmp_path):
    root = clone(tmp_path, planted())
    newer = root / "bench" / "results" / "suite-a.jsonl"
    records.append(newer, [record("Later", 32, 9, date="2027-01-01T00:00:00+00:00")])
    assert readme.newest(root) == newer
    readme.main([], root)
    assert "Later" in (root / "README.md").read_text()


def test_readme_without_an_end_is_left_alone(tmp_path):
    root = clone(tmp_path, planted())
    broken = f"{readme.marker('budgets')}\n{readme.marker('wins')}\n{readme.END}\n"
    (root / "README.md").write_text(broken)
    with pytest.raises(SystemExit, match="end of the table"):
        readme.main([], root)
    assert (root / "README.md").read_text() == broken and not (root / "docs" / "recall.svg").exists()


def test_this_readme_is_fresh(tmp_path):
    if readme.newest(ROOT) is None or "<!-- suite:" not in (ROOT / "README.md").read_text():
        pytest.skip("no results of the suite, or no place for them yet")
    root = tmp_path / "copy"
    (root / "docs").mkdir(parents=True)
    shutil.copytree(ROOT / "bench" / "results", root / "bench" / "results")
    for name in ("README.md", "docs/recall.svg"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, root / name)
    readme.main(["--check"], root)
