"""The style sheets: of the page, and of a picture that stands alone; light, dark and paper."""

from __future__ import annotations

# Okabe and Ito's colours, which the colour-blind tell apart (M. Okabe, K. Ito, Color Universal Design, 2008), without yellow; for
# dark grounds their hues, lighter.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
DARK = ("#3f9fe0", "#ff8340", "#22c99a", "#e6a0c8", "#f2b632", "#96d2f7", "#d8d8d8")


def _variables(colours: tuple[str, ...], paper: str, ink: str, soft: str, grid: str, panel: str) -> str:
    numbered = "".join(f"--c{i}:{colour};" for i, colour in enumerate(colours))
    return f"--paper:{paper};--ink:{ink};--soft:{soft};--grid:{grid};--panel:{panel};{numbered}"


_LIGHT = _variables(LIGHT, "#ffffff", "#1b1b1b", "#5c5c5c", "#e3e3e3", "#f6f6f4")
_DARK = _variables(DARK, "#16181b", "#ececec", "#a8a8a8", "#33363a", "#202327")
VARIABLES = f":root{{color-scheme:light dark;{_LIGHT}}}@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"

MARKS = (
    "svg text{fill:var(--ink);font-family:Helvetica,Arial,'Liberation Sans',sans-serif}"
    "svg .bold{font-weight:700}"
    "svg .label{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}"
    "svg .line{fill:none;stroke:currentColor;stroke-linejoin:round}"
    "svg .grid{color:var(--grid)}svg .axis{color:var(--ink)}svg .leader{color:var(--soft)}svg .reference{color:var(--soft)}"
    "svg .thin{opacity:.75}"
    "svg .solid{fill:currentColor;stroke:var(--paper);stroke-width:.8px}"
    "svg .hollow{fill:var(--paper);stroke:currentColor;stroke-width:1.7px}"
    "svg .frame{fill:var(--paper);stroke:var(--grid);stroke-width:1px}"
    "svg .ground{fill:var(--paper)}" + "".join(f"svg .c{i}{{color:var(--c{i})}}" for i in range(len(LIGHT)))
)

# a file that is shown as an image sees no page's variables: screen is all it can be
PICTURE = VARIABLES + MARKS

PAGE = (
    VARIABLES
    + MARKS
    + """
body{background:var(--paper);color:var(--ink);font:15px/1.5 Helvetica,Arial,'Liberation Sans',sans-serif;
 max-width:1400px;margin:0 auto;padding:24px}
h1{font-size:27px;margin:0 0 8px}h2{font-size:21px;margin:40px 0 8px;border-top:2px solid var(--ink);padding-top:10px}
h3{font-size:16px;margin:26px 0 6px}h4{font-size:14px;margin:16px 0 2px}
p,li{max-width:95ch}a{color:inherit}
.note{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;margin:8px 0}
th,td{padding:3px 9px;text-align:left;border-bottom:1px solid var(--grid);vertical-align:top}
th{border-bottom:1.5px solid var(--ink);vertical-align:bottom}
.n{text-align:right;white-space:nowrap}
tr.ours td{background:var(--panel);font-weight:600}
td.first{border-top:1.5px solid var(--soft)}
figure{margin:14px 0;max-width:100%}
figure svg{max-width:100%;height:auto;display:block}
.pair{display:flex;flex-wrap:wrap;gap:6px 22px}
figcaption{font-size:13px;color:var(--soft);max-width:660px}
code{font-family:'DejaVu Sans Mono',Consolas,monospace;font-size:.92em}
.runs{font-size:11px}.runs td,.runs th{padding:1px 5px}
@page{size:A4;margin:12mm}
@media print{
body{max-width:none;padding:0;font-size:9.5pt}
h2{break-after:avoid}h3,h4{break-after:avoid}h2.data{break-before:page}
figure,tr{break-inside:avoid}thead{display:table-header-group}
.scroll{overflow:visible}
table{font-size:7.5pt}th,td{padding:1.5px 4px}
.runs{font-size:5.2pt}.runs td,.runs th{padding:0.5px 2px}
.runs td:first-child{overflow-wrap:anywhere;min-width:25mm}
.runs .n{white-space:normal}
.pair{display:block}figure svg{width:165mm;max-width:100%;height:auto}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
"""
)
