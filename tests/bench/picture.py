"""The bench's table as one SVG: a bar for each budget, a mark for its goal, a line where it would be broken.

Written by hand, for it is rectangles and text: a plotting library would be a hundred times its size, and draw letters as
shapes that nobody can search or read out. It follows the reader's light or dark setting, and says in words what it shows.
"""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from tests.bench.budget import Budget

WIDTH, LINE, BAR = 900, 24, 12              # pixels: of all, from row to row, of a bar
LEFT, RIGHT = 390, 730                      # where bars begin, and where a budget just kept ends
LONGEST = 1.05                              # a bar beyond is cut off there
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .head { font-weight: 600 } .quiet { fill: #59636e; font-size: 12px }
.end { text-anchor: end } .kept { fill: #2f81c7 } .broken { fill: #cf222e } .goal { stroke: #1f2328; stroke-width: 2 }
.limit { stroke: #59636e; stroke-dasharray: 4 3 } .paper { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .quiet { fill: #9198a1 } .kept { fill: #4493f8 } .broken { fill: #f85149 } .goal { stroke: #e6edf3 }
.limit { stroke: #9198a1 } .paper { fill: #0d1117 } }
"""


def svg(parts: Mapping[str, Sequence[Budget]], when: str) -> str:
    """The picture of all parts that were measured; `when` is said below."""
    body, bottom = [], 20
    for title, budgets in parts.items():
        if budgets:
            bottom += LINE
            body.append(_text(12, bottom, title, "head"))
            for one in budgets:
                bottom += LINE
                body += _row(one, bottom)
    foot = f"Bars: share of the worst that is acceptable (dashed line). Short mark: the goal. {when}"
    told = "; ".join(f"{one.name}: {number(one)}, acceptable {limit(one)}" for budgets in parts.values() for one in budgets)
    height = bottom + 2 * LINE
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">',
        f"<title id=\"t\">Budgets of pure~flex, measured</title><desc id=\"d\">{escape(told)}</desc>",
        f"<style>{STYLE}</style>", f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<line class="limit" x1="{RIGHT}" y1="24" x2="{RIGHT}" y2="{bottom + 8}"/>', *body,
        _text(12, bottom + LINE + 8, foot, "quiet"), "</svg>", ""])


def _row(one: Budget, y: int) -> Iterator[str]:
    length = min(one.share(one.value), LONGEST) * (RIGHT - LEFT)
    goal = LEFT + min(one.share(one.target), LONGEST) * (RIGHT - LEFT)
    yield _text(LEFT - 10, y, one.name, "end")
    yield (f'<rect class="{"kept" if one.kept else "broken"}" x="{LEFT}" y="{y - BAR + 2}" width="{max(length, 1):.1f}" '
           f'height="{BAR}" rx="2"/>')
    yield f'<line class="goal" x1="{goal:.1f}" y1="{y - BAR - 1}" x2="{goal:.1f}" y2="{y + 5}"/>'
    yield _text(WIDTH - 12, y, f"{number(one)} ({limit(one)})", "end" if one.kept else "end head")


def number(one: Budget) -> str:
    """"0.83 ×", "312 claims/s"."""
    return f"{one.value:.3g} {one.unit}".strip() if one.value < 1000 else f"{one.value:.0f} {one.unit}".strip()


def limit(one: Budget) -> str:
    """"≤ 1.2"."""
    return f"{'≤' if one.most else '≥'} {one.worst:g}"


def _text(x: float, y: int, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:g}" y="{y}">{escape(text)}</text>'
