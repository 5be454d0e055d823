"""Small SVG plots, drawn from figures alone."""

from xml.sax.saxutils import escape

INK, GRID, PAPER = "#333", "#ddd", "#fff"
COLORS = ["#2463a8", "#c65a11", "#3b8a3e", "#8a3b7c"]
WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 56


def steps(most):
    """A handful of round numbers from 0 to at least `most`."""
    size = 1e-9
    while most / size > 6:
        for factor in (2, 2.5, 2):
            size *= factor
            if most / size <= 6:
                break
    count = int(most / size) + 1
    return [size * number for number in range(count + 1)]


def frame(title, unit, most):
    ticks = steps(most)
    top = ticks[-1]
    plot = HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for tick in ticks:
        y = TOP + plot * (1 - tick / top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}{unit}</text>')
    return parts, lambda value: TOP + plot * (1 - value / top)


def legend(parts, names):
    for number, name in enumerate(names):
        x = LEFT + number * 180
        parts.append(f'<rect x="{x}" y="{HEIGHT - 18}" width="10" height="10" fill="{COLORS[number]}"/>')
        parts.append(f'<text x="{x + 16}" y="{HEIGHT - 9}">{escape(name)}</text>')


def bars(title, unit, groups, names, stacked=False, line=None):
    """`groups`: label and a value for each name."""
    most = max([sum(v) if stacked else max(v) for _, v in groups] + [line or 0])
    parts, y = frame(title, unit, most)
    width = (WIDTH - LEFT - RIGHT) / len(groups)
    for at, (label, values) in enumerate(groups):
        x, base = LEFT + at * width, 0
        each = width * 0.7 / (1 if stacked else len(values))
        for number, value in enumerate(values):
            left = x + width * 0.15 + (0 if stacked else number * each)
            top, bottom = y(base + value), y(base)
            parts.append(f'<rect x="{left:.1f}" y="{top:.1f}" width="{each:.1f}" '
                         f'height="{bottom - top:.1f}" fill="{COLORS[number]}"/>')
            base += value if stacked else 0
        parts.append(f'<text x="{x + width / 2:.1f}" y="{HEIGHT - BOTTOM + 16}" '
                     f'text-anchor="middle">{escape(label)}</text>')
    if line is not None:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(line):.1f}" y2="{y(line):.1f}" '
                     f'stroke="{INK}" stroke-dasharray="4 3"/>')
    legend(parts, names)
    return "\n".join(parts + ["</svg>\n"])


def lines(title, unit, across, series):
    """`series`: name and points (x, y)."""
    points = [point for _, line in series for point in line]
    widest = max(x for x, _ in points) or 1
    parts, y = frame(title, unit, max(value for _, value in points))

    def at(x):
        return LEFT + (WIDTH - LEFT - RIGHT) * x / widest

    for number, (_, line) in enumerate(series):
        path = " ".join(f"{at(x):.1f},{y(value):.1f}" for x, value in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[number]}" stroke-width="2"/>')
    for x in steps(widest):
        if x <= widest:
            parts.append(f'<text x="{at(x):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{x:g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 30}" text-anchor="end">{escape(across)}</text>')
    legend(parts, [name for name, _ in series])
    return "\n".join(parts + ["</svg>\n"])
