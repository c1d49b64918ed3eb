"""The tables of docs/codecs.md and docs/peers.md, and the README's of kernels, from bench/results: never typed by hand.

python -m bench.readme_table              write the tables of the newest measurements into these
python -m bench.readme_table --measure    measure the codecs on this machine first (a minute), into bench/results
python -m bench.readme_table --check      exit 1 if they hold other tables than those

The peers' table comes from `python -m bench.peers --data FOLDER -o bench/results/peers-MACHINE.json`, that of kernels from
`python -m bench.kernels --data FOLDER -o bench/results/kernels-MACHINE.json`, that of `TransformCodec` from
`vecpress bench --data FOLDER --budget BYTES ... -o bench/results/transform-MACHINE.jsonl`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from .recurrent_tables import pairs_table, published_table, recurrent_table, retrieval_table, upgrade_table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
CODECS, PEERS, README = ROOT / "docs" / "codecs.md", ROOT / "docs" / "peers.md", ROOT / "README.md"
RECURRENT = ROOT / "docs" / "recurrent.md"
RECURRENT_TABLES = {
    "recurrent": recurrent_table, "recurrent published": published_table, "retrieval": retrieval_table,
    "pairs": pairs_table, "compatible": upgrade_table,
}  # fmt: skip
END = "<!-- end of the table -->"
SEEDS = (0, 1, 2)
ROOM = 1.2  # times as many bytes as ours that a peer may have


def measure() -> Path:
    """Runs `vecpress demo` with every seed and writes the result file of this machine."""
    load = os.getloadavg()[0]
    runs = []
    for seed in SEEDS:
        command = [sys.executable, "-m", "vecpress", "demo", "--json", "--no-plot", "--seed", str(seed)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        runs.append(json.loads(done.stdout))
    result = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "load_before": round(load, 2),
        "runs": runs,
    }
    about = runs[0]["machine"]
    name = re.sub(r"[^a-z0-9]+", "-", f"{about['cpu']} {about['threads']} threads".lower()).strip("-")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"demo-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def commit() -> str:
    """What was measured: the last commit that touched the library, and whether its files had changed since."""
    library = ("--", "vecpress", "csrc", "setup.py")
    changed = _git("status", "--porcelain", *library)
    return _git("log", "-1", "--format=%h", "--abbrev=12", *library) + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _date(result: dict[str, Any]) -> str:
    if "date" in result:
        return str(result["date"])
    parts = [part for part in (*result["about"].values(), *result.get("rows", ())) if isinstance(part, dict)]
    return max((str(part["date"]) for part in parts if "date" in part), default="")


def newest(kind: str) -> dict[str, Any]:
    """The latest of the result files."""
    found = [json.loads(path.read_text()) for path in RESULTS.glob(f"{kind}-*.json")]
    if not found:
        sys.exit(f"bench/results has no {kind}-*.json: see bench/README.md")
    return max(found, key=_date)


def codecs_table(result: dict[str, Any]) -> str:
    """Every codec on the shipped set, and what that was measured on, in Markdown."""
    runs = result["runs"]
    by_label: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for row in run["results"]:
            by_label.setdefault(row["label"], []).append(row)
    lines = [
        "| codec | bytes per vector | times smaller than float32 | recall 10@10 | searches per second | learned state |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for label, rows in by_label.items():
        recalls = [row["recall"] for row in rows]
        rate = statistics.median(row["searches_per_second"] for row in rows)
        cells = [
            f"`{label}`" + (" *" if rows[0]["few_rows"] else ""),
            str(rows[0]["code_size"]),
            f"{rows[0]['times_smaller']:.3g}",
            _mean_and_worst(recalls),
            f"{float(f'{rate:.2g}'):,.0f}",
            _size(rows[0]["state_nbytes"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    data, about = runs[0]["data"], runs[0]["machine"]
    lines += [
        "",
        f"{data['name']} ({data['licence']}): {data['vectors']:,} vectors of {data['dim']} dimensions, "
        f"{runs[0]['queries']} questions that no codec has seen. Exhaustive scan, no reranking. Recall is the mean of "
        f"{len(runs)} seeds, the worst in brackets; the rate their median, in batches of {runs[0]['queries']} on "
        f"{about['threads']} threads of an {about['cpu']} ({about['backend']}), all codes in cache, load "
        f"{result['load_before']} beside the run. The learned state is stored once, however many vectors there are. "
        "\\* learned from fewer vectors than the codec asks for: a larger base gives more. "
        f"vecpress {about['vecpress']} at {result['commit']}, NumPy {about['numpy']}, Python {about['python']}.",
    ]
    return "\n".join(lines)


def recall_table(rows: list[dict[str, Any]]) -> list[str]:
    """Recall beside peers, in Markdown."""
    lines = [
        "| data | codec | bytes | recall 10@10 | peer | bytes | recall | difference, 95% interval |",
        "|---|---|--:|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        low, high = row["difference_95"]
        cells = [
            row["set"], f"`{row['codec']}`" + (", symmetric" if row["symmetric"] else ""), str(row["code_bytes"]),
            _mean_and_worst(row["recall"]), row["peer"], str(row["peer_bytes"]), _mean_and_worst(row["peer_recall"]),
            f"{row['difference']:+.3f}, {low:+.3f} to {high:+.3f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def peers_table(result: dict[str, Any]) -> str:
    """Recall and memory beside peers, in Markdown."""
    lines = recall_table(result["recall"])
    lines += ["", "| codec | bytes | recall 10@10 | of the 100 best, ranked again by float16 vectors |", "|---|--:|--:|--:|"]
    for row in result["rerank"]:
        cells = [f"`{row['codec']}`", str(row["code_bytes"]), f"{row['recall']:.3f}", f"{row['recall_reranked']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    memory, versions, commits = result["memory"], result["versions"], result["commit"]
    lines += [
        "",
        f"Recall on an {result['cpu']}: three seeds where there are "
        f"any, the mean and in brackets the worst, the same training vectors, exhaustive scans, ties counted; reranking on "
        f"{result['rerank'][0]['set']}. Searching 1,000,000 codes of 64 bytes takes "
        f"{memory['peak_over_codes']:.2f} times their memory at the peak, mapping their file "
        f"{memory['mmap_load_milliseconds']:.1f} ms. vecpress {versions['vecpress']}, recall at commit {commits['recall']}, "
        f"memory at {commits['memory']}, "
        f"faiss {versions['faiss']}, turbovec {versions['turbovec']}, NumPy {versions['numpy']}.",
    ]
    return "\n".join(lines)


def transform_rows() -> list[dict[str, Any]]:
    """The runs of the latest file that have a recall."""
    files = [[json.loads(line) for line in path.read_text().splitlines()] for path in RESULTS.glob("transform-*.jsonl")]
    if not files:
        sys.exit("bench/results has no transform-*.jsonl: see this file's first lines")
    latest = max(files, key=lambda rows: max(row["date"] for row in rows))
    return [row for row in latest if row["recall"] is not None]


def transform_table(rows: list[dict[str, Any]]) -> str:
    """`TransformCodec` beside the best of our other codecs and the best peer near its bytes, in Markdown."""
    runs: dict[str, list[dict[str, Any]]] = {}  # a codec's, with different seeds
    for row in rows:
        runs.setdefault(json.dumps((row["library"], row["codec"], row["config"])), []).append(row)
    found = [(seeds[0], [row["recall"] for row in seeds]) for seeds in runs.values()]
    lines = ["| bytes | `TransformCodec` | best of our others | best peer | missing recall, to the best of both |"]
    lines.append("|--:|--:|---|---|--:|")
    for mine, recalls in sorted(found, key=lambda one: (one[0]["code_size"], json.dumps(one[0]["config"]))):
        if mine["codec"] != "TransformCodec":
            continue
        others = [one for one in found if one[0]["codec"] != "TransformCodec" and one[0]["code_size"] <= ROOM * mine["code_size"]]
        cells = [f"{mine['code_size']}{', window=8' if mine['config'].get('window') == 8 else ''}", _mean_and_worst(recalls)]
        for ours in (True, False):
            best, its = max((one for one in others if (one[0]["library"] == "vecpress") is ours), key=lambda one: max(one[1]))
            name = best["codec"] if ours else f"{best['library']} {best['codec']}"
            cells.append(f"{name}, {best['code_size']:.0f} bytes, {_mean_and_worst(its)}")
        change = (1 - statistics.mean(recalls)) / (1 - max(statistics.mean(its) for _, its in others)) - 1
        lines.append(f"| {' | '.join([*cells, f'{change:+.0%}'])} |")
    mine = next(row for row in rows if row["codec"] == "TransformCodec")
    lines += [
        "",
        f"{mine['data']['name']}, recall 10@10 of the {mine['data']['n_figures']} questions that `fit` has not seen, mean of the "
        f"seeds, the worst in brackets; others of at most {ROOM} times the bytes, with one seed. `TransformCodec` at "
        f"{mine['commit']} on {mine['machine']['cpu']}; the file names machine and commit of each run, and its speeds were taken "
        "beside other work.",
    ]
    return "\n".join(lines)


def _mean_and_worst(recalls: list[float]) -> str:
    mean = f"{statistics.mean(recalls):.3f}"
    return mean if len(recalls) == 1 else f"{mean} ({min(recalls):.3f})"


KERNEL_SECTIONS = {
    "stream": "one query, codes beyond the caches", "peers": "one query, codes beyond the caches", "batches": "search",
    "products": "batch of 100", "topk": "k of 100 against 10", "filters": "allow-list", "threads": "second thread", "rows": "",
    "overhead": "one call",
}  # fmt: skip


def kernels_table(result: dict[str, Any]) -> str:
    """Kernels beside limits and peers, a line for all shapes of one piece of work, in Markdown."""
    lines = ["| work | beside | ratio | aimed at | missed |", "|---|---|--:|--:|--:|"]
    for section, about in KERNEL_SECTIONS.items():
        groups: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
        for figure in result["sections"].get(section, {}).get("figures", []):
            if figure["need"] is None:
                continue
            what = figure["shape"].split(", ")[-1] if section == "filters" else ""
            groups.setdefault((what, figure["beside"], figure["need"]), []).append(figure)
        for (what, beside, need), figures in groups.items():
            ratios = [figure["ratio"] for figure in figures]
            low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
            missed = sum(ratio < need for ratio in ratios)
            names = ", ".join(dict.fromkeys(figure["work"] for figure in figures))
            name = ": ".join(part for part in (about, what, names) if part)
            shown = low if low == high else f"{low} to {high}"
            lines.append(f"| {name} | {beside} | {shown} | {need:.2g} | {f'{missed} of {len(ratios)}' if missed else ''} |")
    loads = [section["load"] for section in result["sections"].values()]
    commits = ", ".join(sorted({section["commit"] for section in result["sections"].values()}))
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += [
        "",
        "Ratios of medians, in turns in one run, one thread unless it says otherwise, on an "
        f"{result['cpu']} with {result['cpus']} processors; load {min(loads):.2f} to {max(loads):.2f} beside the run; "
        f"more is better. {versions}, at {commits}.",
    ]
    return "\n".join(lines)


def _mean_and_worst(recalls: list[float]) -> str:
    mean, worst = f"{statistics.mean(recalls):.3f}", f"{min(recalls):.3f}"
    return mean if mean == worst else f"{mean} ({worst})"


def _size(nbytes: int) -> str:
    return f"{nbytes} B" if nbytes < 1000 else f"{nbytes / 1000:.3g} kB"


def insert(text: str, marker: str, table: str) -> str:
    """`text` with the table between its markers."""
    before, begin, rest = text.partition(marker)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"expected the markers {marker} and {END}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure on this machine first")
    parser.add_argument("--check", action="store_true", help="exit 1 if a table is stale")
    arguments = parser.parse_args()
    if arguments.measure:
        print(measure())
    recurrent = RECURRENT.read_text()
    for kind, table in RECURRENT_TABLES.items():
        recurrent = insert(recurrent, f"<!-- {table.__name__} -->", table(newest(kind.split()[0])))
    fresh = {
        RECURRENT: recurrent,
        CODECS: insert(CODECS.read_text(), "<!-- table: python -m bench.readme_table -->", codecs_table(newest("demo"))),
        README: insert(
            insert(README.read_text(), "<!-- table: python -m bench.kernels -->", kernels_table(newest("kernels"))),
            "<!-- table: TransformCodec -->",
            transform_table(transform_rows()),
        ),
        PEERS: insert(PEERS.read_text(), "<!-- table: python -m bench.peers -->", peers_table(newest("peers"))),
    }
    for path, text in fresh.items():
        if arguments.check and text != path.read_text():
            sys.exit(f"{path.name} is stale: run python -m bench.readme_table")
        if not arguments.check:
            path.write_text(text)


if __name__ == "__main__":
    main()
