"""The tables of docs/recurrent.md, in Markdown, from results of `bench.recurrent`, `pairs`, `retrieval` and `compatible`."""

from __future__ import annotations

import statistics
from typing import Any

Result = dict[str, Any]
ORDER = ("rotation", "improved", "improved, questions", "RaBitQ", "Sign", "ITQ", "TransformCodec", "TransformCodec, questions")


def _mean(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f})"


def recurrent_table(result: Result) -> str:
    """Recall at 1, 2 and 4 bits a dimension, float queries and coded ones."""
    groups: dict[tuple[int, str], list[Result]] = {}
    for row in result["recall"]:
        groups.setdefault((row["bits"], row["name"]), []).append(row)
    lines = ["| bits a dimension | codec | bytes | float queries | coded queries |", "|--:|---|--:|--:|--:|"]
    for (bits, name), rows in sorted(groups.items(), key=lambda one: (one[0][0], ORDER.index(one[0][1]))):
        own = f"`RecurrentBinary`, {name}" if name.startswith(("rotation", "improved")) else f"`{name.split(',')[0]}`"
        own += ", questions" if name.startswith("Transform") and "," in name else ""
        ways = [_mean([row[way] for row in rows]) for way in ("asymmetric", "symmetric")]
        lines.append(f"| {bits} | {own} | {rows[0]['code_bytes']} | {' | '.join(ways)} |")
    about = result["about"]["recall"]
    lines += [
        "",
        "medquad_minilm, recall 10@10 of the questions 300 to 999, learned from a random 70 % of the base; mean of the seeds, "
        'the worst in brackets. "questions": `fit` had the questions 0 to 299 as a sample. '
        f"`python -m bench.recurrent`, {about['cpu']}, at {about['commit']}.",
    ]
    if "training" in result:
        rows, cpu = result["training"], result["about"]["training"]["cpu"]
        times = ", ".join(f"{row['seconds']:.0f} for ({row['m']}, {row['u']})" for row in rows)
        threads = "" if "threads" not in rows[0] else f", {rows[0]['threads']} threads"
        lines += ["", f"Seconds that training takes on {rows[0]['n']:,} rows, m and u in brackets: {times}; {cpu}{threads}."]
    return "\n".join(lines)


def published_table(result: Result) -> str:
    """The published recipe, a hash trained alike and plain signs, at equal bits."""
    measures = ("symmetric", "nearest_1", "nearest_10")
    lines = ["| coded queries | bits a dimension | recall 10@10 | the nearest is first | is among the first 10 |"]
    lines.append("|---|--:|--:|--:|--:|")
    groups: dict[tuple[int, str], list[Result]] = {}
    for row in result["published"]:
        groups.setdefault((row["bits"], row["name"]), []).append(row)
    names = {"bebr": '`recipe="bebr"`, u = 1', "hash": '`recipe="bebr"`, u = 0, twice as many directions', "Sign": "plain signs"}
    for (bits, name), rows in groups.items():
        shares = " | ".join(_mean([row[m] for row in rows]) for m in measures)
        lines.append(f"| {names[name]} | {bits} | {shares} |")
    about = result["about"]["published"]
    seeds = len({row["seed"] for row in result["published"]})
    lines += ["", f"As above, {'one seed' if seeds == 1 else f'{seeds} seeds'}, at {about['commit']}."]
    return "\n".join(lines)


PAIRS_NAMES = {
    "float": "float vectors", "float, trained": "float outputs of a block, trained alike", "signs": "plain signs",
    "signs of random projections": "signs of random projections",
    "hash, trained": '`recipe="bebr"`, u = 0, twice as many directions',
    "bebr": '`recipe="bebr"`', "bebr, first signs": '`recipe="bebr"`, first signs alone', "rotation": '`recipe="rotation"`',
    "hash, large steps": '`recipe="bebr"`, u = 0, 256 pairs a step', "bebr, large steps": '`recipe="bebr"`, 256 pairs a step',
    "improved": '`recipe="improved"`',
}  # fmt: skip


def pairs_table(result: Result) -> str:
    """The published setting: partners of labelled pairs found first, of answers that training has not seen."""
    measures = (("pairs", 1), ("pairs", 5), ("pairs", 10), ("answers", 1), ("answers", 10), ("questions", 1), ("seen", 1))
    heads = " | ".join(f"{name} R@{k}" for name, k in measures)
    lines = [f"| set | bits a dimension | codes | {heads} |", "|---|--:|---" + "|--:" * len(measures) + "|"]
    groups: dict[tuple[str, int, str], list[Result]] = {}
    for row in result["rows"]:
        groups.setdefault((row["set"], row["bits"], row["name"]), []).append(row)
    for (name, bits, codes), rows in groups.items():
        cells = [name, str(bits or "float"), PAIRS_NAMES[codes]]
        cells += [_mean([row[m][f"r{k}"] for row in rows]) if m in rows[0] else "" for m, k in measures]
        lines.append(f"| {' | '.join(cells)} |")
    for (name, bits, codes), rows in groups.items():
        for other in ("hash, trained", "hash, large steps", "signs of random projections"):
            if f"above {other}" not in rows[0]:
                continue
            parts = []
            for measure in ("pairs", "answers"):
                gaps = [[100 * value for value in row[f"above {other}"][measure]] for row in rows]
                parts.append(f"{measure} {', '.join(f'{gap:+.1f} ({low:+.1f} to {high:+.1f})' for gap, low, high in gaps)}")
            lines += ["", f"{PAIRS_NAMES[codes]} less {PAIRS_NAMES[other]}, {name}, {bits} bits a dimension, R@1 in points, each"]
            lines += [f"seed with its 95 % interval: {'; '.join(parts)}."]
    if result["choices"]:
        kinds = {"first": "", "all": "any two passages of an answer, "}
        tried = "; ".join(
            f"{kinds[c['pairs_kind']]}{c['anchors']} a step at {c['rate']:g}, {c['epochs']:g} epochs: {c['answers']['r1']:.3f}"
            for c in result["choices"]
        )
        beside = result["choices"][0]["signs of random projections"]["answers"]["r1"]
        lines += ["", f'Tried with `recipe="bebr"`, R@1 of answers by a fifth of those that train: {tried}. Signs of random']
        lines += [f"projections have {beside:.3f} there."]
    about = result["about"]
    lines += ["", f"Means of seeds, the worst in brackets. `python -m bench.pairs`, {about['cpu']}, at {about['commit']}."]
    return "\n".join(lines)


def retrieval_table(result: Result) -> str:
    """nDCG@10 by labels, in shares of float's."""
    lines = ["| codes | bytes | medquad nDCG@10 | of float's | xquad nDCG@10 | of float's | LIMIT, first two kept |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|")
    for row in result["rows"]:
        cells = [row["name"], f"{row['code_bytes']:,}"]
        for name in ("medquad_minilm", "xquad_minilm"):
            own = row[name]
            low, high = own["ndcg_kept_95"]
            span = "" if low == high else f" ({100 * low:.1f} to {100 * high:.1f})"
            cells += [f"{own['ndcg_10']:.3f}", f"{100 * own['ndcg_kept']:.1f} %{span}"]
        lines.append(f"| {' | '.join([*cells, f'''{100 * row['limit_small_minilm']['first_two_kept']:.0f} %'''])} |")
    return "\n".join(lines)


def upgrade_table(result: Result) -> str:
    """New queries on old codes, beside old queries and Procrustes."""
    lines = ["| old codes | bytes | maps learned from | old queries | Procrustes | ridge | trained | half encoded again |"]
    lines.append("|---|--:|---|--:|--:|--:|--:|--:|")
    groups: dict[tuple[str, str], dict[str, Result]] = {}
    for row in result["rows"]:
        if row["method"] in ("procrustes", "ridge", "trained"):
            groups.setdefault((row["codec"], row["learned_from"]), {})[row["method"]] = row
    for (codec, source), rows in groups.items():
        if len(rows) < 3:
            continue
        one = rows["trained"]
        learned = "rows" if source == "rows" else "rows, 150 questions"
        found = [rows[method]["mean"]["new_old"] for method in ("procrustes", "ridge", "trained")]
        cells = [f"`{codec}`", str(one["code_bytes"]), learned, f"{one['old_old']:.3f}", *(f"{share:.3f}" for share in found)]
        lines.append(f"| {' | '.join(cells)} | {one['mean']['mixed_0.5']:.3f} |")
    lines += [
        "",
        "Recall 10@10 by the new model's float neighbours; the last two with trained maps. Old model: columns 0 to 1,151 of "
        "medquad_l4_1536, new model: the other 384; 3,500 passages, questions no map has seen. `python -m bench.compatible`.",
    ]
    return "\n".join(lines)
