"""The page around an evaluation report: its style, light and dark. No script, no network, nothing beside the file."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { --ink: #1f2328; --paper: #fbfbfa; --card: #f4f4f1; --line: #e2e2dd; --quiet: #5b6168; --faint: #c3c6c4;
  --a: #0072b2; --b: #d55e00; --c: #009e73; --strong: #ffffff; --warn: #fdf1e7; --warn-line: #efc9a8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ea; --paper: #15181c; --card: #1b1f24; --line: #2e343b; --quiet: #a3a9b0; --faint: #4a5159;
    --a: #56b4e9; --b: #ee9440; --c: #2fc795; --strong: #10151a; --warn: #2a2119; --warn-line: #59422c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1120px; margin: 0 auto; padding: 44px 32px 72px; }
h1 { font-size: 28px; line-height: 1.25; margin: 0; font-weight: 650; letter-spacing: -0.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 52px 0 4px; font-weight: 650; }
h3 { font-size: 15px; margin: 22px 0 2px; font-weight: 650; }
p { margin: 0; max-width: 82ch; }
.quiet { color: var(--quiet); }
.lead { font-size: 19px; margin: 14px 0 0; max-width: 70ch; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin: 26px 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px 12px; }
.tile b { display: block; font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.02em; }
.tile span { color: var(--quiet); font-size: 13px; display: block; }
.box { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 20px;
  margin-top: 18px; }
.box.warn { background: var(--warn); border-color: var(--warn-line); }
.box ul { margin: 0; padding-left: 18px; }
.box li { margin: 4px 0; max-width: 86ch; overflow-wrap: anywhere; }
.two { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 20px 40px; align-items: start; }
.two.right { grid-template-columns: minmax(0, 11fr) minmax(0, 13fr); }
.chart + p, .scroll + p { margin-top: 10px; }
.chart { width: 100%; height: auto; display: block; margin-top: 12px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 8px 0 0; color: var(--quiet); font-size: 14px; }
.legend > span { display: inline-flex; align-items: center; gap: 7px; }
svg.mark { width: 12px; height: 12px; flex: none; vertical-align: -1px; }
.dash { width: 22px; border-top: 2px solid; display: inline-block; }
.dash.base { border: 0; border-left: 2.5px solid var(--ink); width: 0; height: 14px; }
svg text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; fill: var(--quiet); }
svg text.ink { fill: var(--ink); font-size: 14px; }
svg text.value { fill: var(--ink); }
svg .small { fill: var(--quiet); font-size: 13px; }
svg text.big { fill: var(--ink); font-size: 22px; font-weight: 650; text-anchor: middle; }
svg text.sub { text-anchor: middle; }
svg text.strong { fill: var(--strong); }
svg text.on { fill: #ffffff; font-weight: 600; paint-order: stroke; stroke: rgb(0 0 0 / .35); stroke-width: 2.5px; }
svg .rule { stroke: var(--line); stroke-width: 1; }
svg .zero { stroke: var(--quiet); stroke-width: 1.5; }
svg .base { stroke: var(--ink); stroke-width: 2.5; fill: none; }
svg .span { stroke-width: 5; stroke-linecap: round; opacity: .38; }
svg .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
svg .line.ideal { stroke: var(--faint); stroke-width: 1.5; stroke-dasharray: 5 5; }
svg .cell { fill: var(--card); }
.quiet-bar { fill: var(--faint); }
.a { fill: var(--a); } .b { fill: var(--b); } .c { fill: var(--c); } .n { fill: var(--quiet); }
.s-a { stroke: var(--a); } .s-b { stroke: var(--b); } .s-c { stroke: var(--c); } .s-n { stroke: var(--quiet); }
.k-a { border-color: var(--a); } .k-b { border-color: var(--b); } .k-n { border-color: var(--faint); }
$label_styles
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 10px; }
th, td { text-align: right; padding: 6px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--quiet); font-size: 13px; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.two th, .two td { padding-left: 8px; padding-right: 8px; }
.two th:first-child, .two td:first-child { padding-left: 0; }
td.words { white-space: normal; min-width: 16em; }
th:last-child, td:last-child { padding-right: 0; }
tbody td:first-child { font-weight: 600; }
td small { color: var(--quiet); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 24px; margin: 10px 0 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 760px) {
  main { padding: 28px 18px 48px; }
  .two, .two.right { grid-template-columns: minmax(0, 1fr); }
  .tiles { grid-template-columns: 1fr 1fr; }
  .scroll .chart { min-width: 760px; }
}
@media print { main { padding: 0; max-width: none; } h2 { break-after: avoid; }
  .chart, tr, .box { break-inside: avoid; } }
</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")
"""Fields: title, label_styles (CSS of the labels' colours), body."""
