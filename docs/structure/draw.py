#!/usr/bin/env python3
"""Draws the pictures of the servers: turns each drawing NAME.txt into NAME.svg.

  draw.py [FILE.txt...]           draws these, or all drawings beside this script
  draw.py --check [FILE.txt...]   fails if a picture is not what its drawing gives

In a drawing, ─ is a line, ┄ the frame of a thread, and ═ a line or box that is new. A text that begins with
`!` is a problem that the server still has. ■ is a full place, □ a free one, and ● a coroutine.
"""
import re
import sys
from collections import defaultdict
from html import escape
from pathlib import Path

COLUMNS, ROWS = 76, 18          # the largest drawing
WIDTH, HEIGHT = 10, 20          # of a cell, in pixels
MARGIN = 20                     # between the drawing and the border of its card
LIGHT, DOUBLE, DASHED = 1, 2, 3
STEPS = UP, RIGHT, DOWN, LEFT = (-1, 0), (0, 1), (1, 0), (0, -1)
# The style of each line character upwards, to the right, downwards and to the left; 0 is no line.
LINES = {character: dict(zip(STEPS, map(int, styles))) for character, styles in (
    pair.split("=") for pair in
    "─=0101 │=1010 ┌=0110 ┐=0011 └=1100 ┘=1001 ├=1110 ┤=1011 ┬=0111 ┴=1101 ┼=1111 ┄=0303 ┆=3030 "
    "═=0202 ║=2020 ╔=0220 ╗=0022 ╚=2200 ╝=2002 ╠=2220 ╣=2022 ╦=0222 ╩=2202 ╬=2222 ╥=0121 ╨=2101 "
    "╞=1210 ╡=1012 ╪=1212 ╫=2121".split())}
HEADS = {"▲": UP, "▶": RIGHT, "▼": DOWN, "◀": LEFT}
JOINTS = LINES.keys() | HEADS.keys()
SHAPES = {  # centred on 0,0
    "●": '<circle class="s" r="4" cx="{x:g}" cy="{y:g}"/>',
    "■": '<path class="s" d="M{x:g},{y:g}m-3,-5h6v10h-6z"/>',
    "□": '<path class="s o" d="M{x:g},{y:g}m-3,-5h6v10h-6z"/>',
    "⋮": '<path class="dots" d="M{x:g},{y:g}m0,-6v.01m0,6v.01m0,6v.01"/>',
}
WORDS = re.compile(r"[!-~…×]+(?: [!-~…×]+)*")
STYLE = """
svg{--card:#fff;--edge:#d0d7de;--text:#424a53;--line:#8c959f;--box:#f6f8fa;--frame:#afb8c1;
--new:#11695f;--glow:#ddf3ef;--bad:#b42341}
@media(prefers-color-scheme:dark){svg{--card:#161b22;--edge:#3d444d;--text:#d1d7e0;--line:#7d8794;
--box:#212830;--frame:#59626d;--new:#5fd3c3;--glow:#123a35;--bad:#ff8c9c}}
text{font:14px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;text-anchor:middle;fill:var(--text)}
rect,path{fill:none;stroke:var(--line);stroke-width:1.5}
.card{fill:var(--card);stroke:var(--edge);stroke-width:1}
.box{fill:var(--box)}.frame{stroke:var(--frame);stroke-dasharray:3 4}
.head{fill:var(--line);stroke:none}.s{fill:var(--line);stroke:var(--line)}.o{fill:none}
.dots{stroke-width:3.5;stroke-linecap:round}
.new{stroke:var(--new);stroke-width:2.25}rect.new{fill:var(--glow)}.head.new,.s.new{fill:var(--new);stroke-width:1.5}
.o.new{fill:none}
text.new,text.bad{font-weight:600;stroke:none;fill:var(--new)}text.bad{fill:var(--bad)}
.start{text-anchor:start}.end{text-anchor:end}
text.on,text.on.new{paint-order:stroke;stroke:var(--card);stroke-width:9;stroke-linejoin:round;font-size:13px}
"""


class Fault(Exception):
    """What is wrong in a drawing, and where."""


class Box:
    def __init__(self, top, left, bottom, right, style):
        self.top, self.left, self.bottom, self.right, self.style = top, left, bottom, right, style
        across, down = range(left, right + 1), range(top, bottom + 1)
        self.border = {(r, c) for r in (top, bottom) for c in across} | {(r, c) for r in down for c in (left, right)}

    def holds(self, row, column):
        return self.top <= row <= self.bottom and self.left <= column <= self.right


class Drawing:
    def __init__(self, path):
        self.path = path
        self.cells, self.lines, self.labels = {}, {}, []
        rows = path.read_text(encoding="utf-8").splitlines()
        if len(rows) > ROWS:
            self.fail(ROWS, 0, f"a drawing has at most {ROWS} lines")
        self.rows = rows
        for row, text in enumerate(rows):
            if len(text) > COLUMNS:
                self.fail(row, COLUMNS, f"a line has at most {COLUMNS} characters")
            for column, character in enumerate(text):
                if character in LINES:
                    self.lines[row, column] = dict(LINES[character])
                elif character != " " and character not in HEADS | SHAPES and not WORDS.match(character):
                    self.fail(row, column, f"unknown character '{character}'")
                if character != " ":
                    self.cells[row, column] = character
        self.dash_corners()
        self.find_labels()
        self.find_boxes()
        self.check_ends()

    def fail(self, row, column, fault):
        raise Fault(f"{self.path}:{row + 1}:{column + 1}: {fault}")

    def style(self, cell, step):
        return self.lines.get(cell, {}).get(step, 0)

    def dash_corners(self):
        """The corners of frames have no dashed character, so they take the style of the lines that they join."""
        for cell, styles in self.lines.items():
            if any(style and self.cells.get(moved(cell, step), " ") in "┄┆" for step, style in styles.items()):
                if self.cells[cell] in "┌┐└┘":
                    self.lines[cell] = {step: style and DASHED for step, style in styles.items()}

    def find_labels(self):
        """Finds the texts. A line continues under a text that is in it."""
        for row, text in enumerate(self.rows):
            for match in WORDS.finditer(text):
                first, last = match.start(), match.end()
                before = first - 1 - (text[first - 1:first] == " ")
                after = last + (text[last:last + 1] == " ")
                style = self.style((row, before), RIGHT)
                on_line = style and self.style((row, after), LEFT)
                for column in range(before + 1, after) if on_line else ():
                    self.lines[row, column] = {UP: 0, RIGHT: style, DOWN: 0, LEFT: style}
                self.labels.append((row, first, last, match.group(), style if on_line else 0))

    def find_boxes(self):
        """A box is a closed rectangle. Other lines may cross a frame."""
        self.boxes = []
        for (top, left), styles in sorted(self.lines.items()):
            style = styles[RIGHT]
            if not style or styles[DOWN] != style or self.cells[top, left] not in "┌╔":
                continue
            corner = self.follow((top, left), RIGHT, DOWN, style)
            end = corner and self.follow(corner, DOWN, LEFT, style)
            other = end and self.follow(end, LEFT, UP, style)
            if other and self.follow(other, UP, RIGHT, style) == (top, left):
                self.boxes.append(Box(top, left, *end, style))
        self.borders = set().union(*(box.border for box in self.boxes))
        self.walls = set().union(*(box.border for box in self.boxes if box.style != DASHED))

    def follow(self, cell, step, turn, style):
        """Follows a line to the corner where it turns; None if it does not turn there."""
        while True:
            cell = moved(cell, step)
            styles = self.lines.get(cell, {})
            if styles.get(opposite(step)) == style and not styles[step]:
                return cell if styles[turn] == style else None
            crossed = style == DASHED and (cell in self.cells or step in (LEFT, RIGHT))
            if not (styles.get(step) == style or crossed) or not 0 <= cell[1] < COLUMNS:
                return None

    def check_ends(self):
        """A line ends at another line, at a box, at an arrow head, or at a text, from which a space may separate it."""
        for cell, styles in sorted(self.lines.items()):
            for step in STEPS:
                following = moved(cell, step)
                if not styles[step] or self.style(following, opposite(step)) or following in self.borders:
                    continue
                if following not in self.cells and step in (RIGHT, LEFT):
                    following = moved(following, step)
                if self.cells.get(following, "─") in LINES:
                    self.fail(*cell, "this line ends without joining another, or its box does not close")

    def innermost(self, row, column):
        holding = [box for box in self.boxes if box.holds(row, column) and box.style != DASHED]
        return max(holding, key=lambda box: (box.top, box.left), default=None)

    # ---- the picture --------------------------------------------------------------------------

    def svg(self):
        name = self.path.stem
        stage = re.fullmatch(r"stage(\d+)", name)
        title = f"The structure of stage {int(stage[1])}" if stage else "The structure of the final server"
        width, height = COLUMNS * WIDTH + 2 * MARGIN, len(self.rows) * HEIGHT + 2 * MARGIN
        parts = [f'<rect class="card" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"/>']
        parts += [self.rectangle(box) for box in sorted(self.boxes, key=lambda box: box.style != DASHED)]
        parts += self.paths()
        parts += [self.shape(cell) for cell, character in self.cells.items() if character in SHAPES]
        parts += [self.text(*label) for label in self.labels]
        parts += [self.head(cell) for cell, character in self.cells.items() if character in HEADS]
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" role="img">\n<title>{title}</title>\n<style>{STYLE}</style>\n'
                + "\n".join(parts) + "\n</svg>\n")

    def rectangle(self, box):
        (x, y), (right, bottom) = centre(box.top, box.left), centre(box.bottom, box.right)
        kind = {LIGHT: "box", DOUBLE: "new", DASHED: "frame"}[box.style]
        return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{right - x:g}" height="{bottom - y:g}" rx="6"/>'

    def paths(self):
        """All lines of one style are one path."""
        for style, kind in ((LIGHT, ""), (DOUBLE, ' class="new"')):
            ends = defaultdict(set)  # the points that a line joins to each point
            for a, b in self.segments(style):
                ends[a].add(b)
                ends[b].add(a)
            joints = {point for point, others in ends.items() if len(others) != 2}
            lines = []
            for start in sorted(joints):
                while ends[start]:
                    line = [start]
                    while len(line) == 1 or line[-1] not in joints:
                        point = line[-1]
                        line.append(min(ends[point]))
                        ends[point].remove(line[-1])
                        ends[line[-1]].remove(point)
                    lines.append(rounded(line))
            if lines:
                yield f'<path{kind} d="{"".join(lines)}"/>'

    def segments(self, style):
        """The straight lines of a style between two points, without boxes."""
        for cell, styles in self.lines.items():
            for step in STEPS:
                starts = styles[step] == style and not self.is_border(cell, step)
                if starts or cell in self.borders and HEADS.get(self.cells.get(moved(cell, step))) == step:
                    if max(styles.values()) == style:
                        yield centre(*cell), self.end(cell, step)

    def is_border(self, cell, step):
        return any({cell, moved(cell, step)} <= box.border and box.style != DASHED for box in self.boxes)

    def end(self, cell, step):
        """The point that a line reaches from the centre of a cell."""
        following = moved(cell, step)
        if self.cells.get(following) in HEADS:
            x, y = self.tip(following)
            return x - 6 * step[1], y - 6 * step[0]
        if following in self.lines:
            return centre(*following)
        x, y = centre(*cell)
        return x + step[1] * WIDTH / 2, y + step[0] * HEIGHT / 2

    def tip(self, cell):
        step = HEADS[self.cells[cell]]
        following = moved(cell, step)
        x, y = centre(*(following if following in self.borders else cell))
        reach = -2 if following in self.borders else 4
        return x + reach * step[1], y + reach * step[0]

    def head(self, cell):
        dy, dx = HEADS[self.cells[cell]]
        x, y = self.tip(cell)
        tail = moved(cell, (-dy, -dx))
        style = self.style(tail, (dy, dx)) or tail in self.borders and max(self.lines[tail].values())
        if not style:
            self.fail(*cell, "this arrow head has no line")
        kind = "head new" if style == DOUBLE else "head"
        return (f'<path class="{kind}" d="M{x:g},{y:g}L{x - 9 * dx - 5 * dy:g},{y - 9 * dy - 5 * dx:g}'
                f'L{x - 9 * dx + 5 * dy:g},{y - 9 * dy + 5 * dx:g}z"/>')

    def shape(self, cell):
        x, y = centre(*cell)
        box = self.innermost(*cell)
        shape = SHAPES[self.cells[cell]].format(x=x + self.shift(cell, box), y=y)
        return shape.replace('class="', 'class="new ') if box and box.style == DOUBLE else shape

    def text(self, row, first, last, words, style):
        cell = row, first
        left, right = centre(*cell)[0] - WIDTH / 2, centre(row, last - 1)[0] + WIDTH / 2
        before, after = self.is_beside(row, first, -1), self.is_beside(row, last - 1, 1)
        box = self.innermost(*cell)
        kinds = [kind for kind, applies in (
            ("bad", words.startswith("! ")),
            ("new", words.startswith("new") or DOUBLE in (style, box and box.style)),
            ("on", style),
            ("start", before and not after and not style),
            ("end", after and not before and not style)) if applies]
        x = left if "start" in kinds else right if "end" in kinds else (left + right) / 2
        x += self.shift(cell, box)
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return f'<text x="{x:g}" y="{centre(*cell)[1] + 5:g}"{kind}>{escape(words)}</text>'

    def is_beside(self, row, column, step):
        """Whether one space separates a text from a line that is no box."""
        near, far = (row, column + step), (row, column + 2 * step)
        return near not in self.cells and self.cells.get(far, "┆") not in "┄┆" and far not in self.walls

    def shift(self, cell, box):
        """What moves the content of a box, or its label, to the middle, if that is less than a character's width."""
        if not box:
            return 0
        inner = range(box.left + 1, box.right)
        row = [(column, self.cells.get((cell[0], column), " ")) for column in inner]
        if cell[0] in (box.top, box.bottom):
            row = [(column, character) for column, character in row if character not in JOINTS]
        columns = [column for column, character in row if character != " "]
        shift = (box.left + box.right - columns[0] - columns[-1]) * WIDTH / 2
        return shift if abs(shift) < WIDTH and not any(character in JOINTS for _, character in row) else 0


def moved(cell, step):
    return cell[0] + step[0], cell[1] + step[1]


def opposite(step):
    return -step[0], -step[1]


def centre(row, column):
    return MARGIN + (column + 0.5) * WIDTH, MARGIN + (row + 0.5) * HEIGHT


def rounded(points):
    """A line through these points, with round corners."""
    corners = [b for a, b, c in zip(points, points[1:], points[2:]) if not (a[0] == b[0] == c[0] or a[1] == b[1] == c[1])]
    stops = [points[0], *corners, points[-1]]
    path = "M{:g},{:g}".format(*stops[0])
    for before, corner, after in zip(stops, stops[1:], stops[2:]):
        path += "L{:g},{:g}Q{:g},{:g} {:g},{:g}".format(*near(corner, before), *corner, *near(corner, after))
    return path + "L{:g},{:g}".format(*stops[-1])


def near(point, other, radius=6):
    """The point that is a radius from a point, on the straight line to another."""
    return tuple(a + max(-radius, min(radius, b - a)) for a, b in zip(point, other))


def main(arguments):
    check = arguments[:1] == ["--check"]
    paths = [Path(name) for name in arguments[check:]] or sorted(Path(__file__).parent.glob("*.txt"))
    for path in paths:
        picture = path.with_suffix(".svg")
        svg = Drawing(path).svg()
        if not check:
            picture.write_text(svg, encoding="utf-8")
        elif not picture.exists() or picture.read_text(encoding="utf-8") != svg:
            sys.exit(f"{picture} is not what {path.name} gives: run docs/structure/draw.py")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Fault, OSError) as fault:
        print(f"draw.py: {fault}", file=sys.stderr)
        sys.exit(2)
