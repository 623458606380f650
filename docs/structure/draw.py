#!/usr/bin/env python3
"""Draws the pictures of the servers: turns each drawing NAME.txt into NAME.svg.

  draw.py [FILE.txt...]           draws these, or all drawings beside this script
  draw.py --check [FILE.txt...]   fails if a picture is not what its drawing gives

In a drawing, ─ and │ are lines and boxes, ═ and ║ are new ones, and ┄ and ┆ surround what a thread runs. A text that
begins with `!` is a problem. ● is a coroutine, ■ a full place of a queue, □ a free one, and ⋮ stands for more.
"""
import re
import sys
from collections import namedtuple
from html import escape
from pathlib import Path

COLUMNS, ROWS = 76, 18  # of the largest drawing
WIDTH, HEIGHT = 10, 20  # of a character, in pixels
MARGIN = 20             # between the drawing and the border of its card

# A cell and a point are complex numbers: a column or x, and a row or y times 1j.
STEPS = UP, RIGHT, DOWN, LEFT = -1j, 1, 1j, -1
SINGLE, DOUBLE, DASHED = 1, 2, 3
# The styles of each line character upwards, to the right, downwards and to the left; 0 is no line.
LINES = {text[0]: dict(zip(STEPS, map(int, text[1:]))) for text in (
    "─0101 │1010 ┌0110 ┐0011 └1100 ┘1001 ├1110 ┤1011 ┬0111 ┴1101 ┼1111 ┄0303 ┆3030 ═0202 ║2020 ╔0220 ╗0022 "
    "╚2200 ╝2002 ╠2220 ╣2022 ╦0222 ╩2202 ╬2222 ╥0121 ╨2101 ╞1210 ╡1012 ╪1212 ╫2121").split()}
HEADS = {"▲": UP, "▶": RIGHT, "▼": DOWN, "◀": LEFT}
JOINTS = LINES.keys() | HEADS.keys()
SHAPES = {
    "●": '<circle class="mark" r="4" cx="{x:g}" cy="{y:g}"/>',
    "■": '<path class="mark" d="M{x:g},{y:g}m-3,-5h6v10h-6z"/>',
    "□": '<path class="mark free" d="M{x:g},{y:g}m-3,-5h6v10h-6z"/>',
    "⋮": '<path class="more" d="M{x:g},{y:g}m0,-6v.01m0,6v.01m0,6v.01"/>',
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
.new{stroke:var(--new);stroke-width:2.25}rect.new{fill:var(--glow)}
.mark{fill:var(--line)}.mark.new{fill:var(--new);stroke-width:1.5}.mark.free{fill:none}
.more{stroke-width:3.5;stroke-linecap:round}
.head{fill:var(--line);stroke:none}.head.new{fill:var(--new);stroke:var(--new);stroke-width:1.5}
text.new,text.bad{fill:var(--new);stroke:none;font-weight:600}text.bad{fill:var(--bad)}
.start{text-anchor:start}.end{text-anchor:end}
text.label{font-size:13px;stroke:var(--card);stroke-width:9;stroke-linejoin:round;paint-order:stroke}
"""

Box = namedtuple("Box", "first last style")  # from the left upper corner to the right lower one
Text = namedtuple("Text", "words first last style")  # the style of the line that the text is in, or 0


class Fault(Exception):
    """What is wrong in a drawing, and where."""


class Drawing:
    def __init__(self, path):
        self.path = path
        self.rows = path.read_text(encoding="utf-8").splitlines()
        if len(self.rows) > ROWS:
            self.fail(ROWS * 1j, f"a drawing has at most {ROWS} lines")
        self.cells = {}
        for row, text in enumerate(self.rows):
            if len(text) > COLUMNS:
                self.fail(complex(COLUMNS, row), f"a line has at most {COLUMNS} characters")
            self.cells |= {complex(column, row): text[column] for column in range(len(text)) if text[column] != " "}
        for cell, character in self.cells.items():
            if character not in JOINTS | SHAPES.keys() and not WORDS.match(character):
                self.fail(cell, f"unknown character '{character}'")
        self.lines = {cell: self.styles(cell) for cell, character in self.cells.items() if character in LINES}
        self.find_texts()
        self.find_boxes()
        self.check_ends()

    def fail(self, cell, fault):
        raise Fault(f"{self.path}:{cell.imag + 1:g}:{cell.real + 1:g}: {fault}")

    def style(self, cell, step):
        return self.lines[cell][step] if cell in self.lines else 0

    def styles(self, cell):
        """The styles of a line character. The corners of a frame take the style of its sides."""
        styles = LINES[self.cells[cell]]
        dashed = any(style == SINGLE and self.cells.get(cell + step, "─") in "┄┆" for step, style in styles.items())
        is_corner = self.cells[cell] in "┌┐└┘"
        return {step: style and DASHED if dashed and is_corner else style for step, style in styles.items()}

    def find_texts(self):
        """Finds the texts. If a text is in a line, the line goes on under it."""
        self.texts = []
        for row, line in enumerate(self.rows):
            for match in WORDS.finditer(line):
                first, last = complex(match.start(), row), complex(match.end() - 1, row)
                before, after = (end + (step if end + step in self.cells else 2 * step)
                                 for end, step in ((first, LEFT), (last, RIGHT)))
                style = self.style(before, RIGHT) if self.style(after, LEFT) else 0
                if style:
                    for column in range(int(before.real) + 1, int(after.real)):
                        self.lines[complex(column, row)] = {UP: 0, RIGHT: style, DOWN: 0, LEFT: style}
                self.texts.append(Text(match.group(), first, last, style))

    def find_boxes(self):
        """Finds the closed rectangles, and takes their sides away from the lines."""
        self.boxes, self.borders = [], {}
        for first in [cell for cell, character in self.cells.items() if character in "┌╔"]:
            style, border = self.lines[first][RIGHT], [first]
            corners = {step: self.follow(border, step, style) for step in (RIGHT, DOWN, LEFT, UP)}
            if border[-1] == first and all(self.style(corner, -step) == style for step, corner in corners.items()):
                self.boxes.append(Box(first, corners[DOWN], style))
                self.borders |= dict.fromkeys(border, style)
                for cell, following in zip(border, border[1:]):
                    for end, step in ((cell, following - cell), (following, cell - following)):
                        if self.style(end, step) == style:
                            self.lines[end][step] = 0

    def follow(self, border, step, style):
        """Goes on from the last cell of a border to its next corner. Other lines may cross a frame."""
        cell = border[-1] + step
        while self.style(cell, step) == style or (
                style == DASHED and cell in self.cells and not self.style(cell, -step)):
            border.append(cell)
            cell += step
        border.append(cell)
        return cell

    def check_ends(self):
        """A line ends at another one, at a box, at an arrow head, or at a text, from which a space may separate it."""
        for cell, styles in self.lines.items():
            for step, style in styles.items():
                end = cell + step
                if not style or self.style(end, -step) or end in self.borders:
                    continue
                if end not in self.cells and step in (RIGHT, LEFT):
                    end += step
                if self.cells.get(end, "─") in LINES:
                    self.fail(cell, "this line ends without joining another, or its box does not close")

    # ---- the picture --------------------------------------------------------------------------

    def svg(self):
        stage = re.fullmatch(r"stage(\d+)", self.path.stem)
        title = f"The structure of stage {int(stage[1])}" if stage else "The structure of the final server"
        width, height = COLUMNS * WIDTH + 2 * MARGIN, len(self.rows) * HEIGHT + 2 * MARGIN
        return "\n".join((
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="card" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"/>',
            *(self.rectangle(box) for box in sorted(self.boxes, key=lambda box: box.style != DASHED)),
            *(self.path_of(style) for style in (SINGLE, DOUBLE)),
            *(self.shape(cell) for cell, character in self.cells.items() if character in SHAPES),
            *(self.text(text) for text in self.texts),
            *(self.head(cell) for cell, character in self.cells.items() if character in HEADS),
            "</svg>\n"))

    def rectangle(self, box):
        kind = {SINGLE: "box", DOUBLE: "new", DASHED: "frame"}[box.style]
        at, size = centre(box.first), centre(box.last) - centre(box.first)
        return (f'<rect class="{kind}" x="{at.real:g}" y="{at.imag:g}" width="{size.real:g}" '
                f'height="{size.imag:g}" rx="6"/>')

    def path_of(self, style):
        """All lines of a style, each from one end or joint to the next."""
        ends = {}  # the points that are joined with a point
        for cell, step in self.arms(style):
            a, b = centre(cell), self.end(cell, step)
            ends.setdefault(a, {})[b] = ends.setdefault(b, {})[a] = True
        joints = [point for point in ends if len(ends[point]) != 2]
        path = ""
        for start in joints + list(ends):  # first from the joints, then round the loops without one
            while ends[start]:
                line = [start]
                while len(line) == 1 or line[-1] not in joints and ends[line[-1]]:
                    point, following = line[-1], next(iter(ends[line[-1]]))
                    del ends[point][following], ends[following][point]
                    line.append(following)
                path += rounded(line)
        return f'<path class="{"line" if style == SINGLE else "new"}" d="{path}"/>'

    def arms(self, style):
        """The cells with a line of a style, and its direction. An arrow head at a box has a line from that box."""
        for cell, styles in self.lines.items():
            yield from ((cell, step) for step in STEPS if styles[step] == style)
        for cell, character in self.cells.items():
            if character in HEADS and self.tail(cell) == (0, style):
                yield cell - HEADS[character], HEADS[character]

    def tail(self, head):
        """The style of the line to an arrow head, and of the box, if it comes straight from one."""
        step = HEADS[self.cells[head]]
        return self.style(head - step, step), self.borders.get(head - step, 0)

    def end(self, cell, step):
        """The point that a line reaches from the middle of a cell."""
        following = cell + step
        if self.cells.get(following) in HEADS:
            return self.tip(following) - 6 * step
        if following in self.lines:
            return centre(following)
        return centre(cell) + complex(step.real * WIDTH, step.imag * HEIGHT) / 2

    def tip(self, head):
        step = HEADS[self.cells[head]]
        return centre(head + step) - 2 * step if head + step in self.borders else centre(head) + 4 * step

    def head(self, cell):
        step, (style, border) = HEADS[self.cells[cell]], self.tail(cell)
        if not style and not border:
            self.fail(cell, "this arrow head has no line")
        tip = self.tip(cell)
        sides = tip + (-9 + 5j) * step, tip + (-9 - 5j) * step
        kind = "head new" if DOUBLE in (style, border) else "head"
        return f'<path class="{kind}" d="M{pair(tip)}L{pair(sides[0])}L{pair(sides[1])}z"/>'

    def shape(self, cell):
        box = self.box_around(cell)
        at = centre(cell) + self.shift(cell, box)
        shape = SHAPES[self.cells[cell]].format(x=at.real, y=at.imag)
        return shape.replace('class="', 'class="new ') if box and box.style == DOUBLE else shape

    def text(self, text):
        box = self.box_around(text.first)
        left, right = centre(text.first).real - WIDTH / 2, centre(text.last).real + WIDTH / 2
        line_before, line_after = self.has_line(text.first, LEFT), self.has_line(text.last, RIGHT)
        kinds = [kind for kind, applies in (
            ("bad", text.words.startswith("! ")),
            ("new", text.words.startswith("new") or DOUBLE in (text.style, box and box.style)),
            ("label", text.style),
            ("start", line_before and not line_after),
            ("end", line_after and not line_before)) if applies]
        x = left if "start" in kinds else right if "end" in kinds else (left + right) / 2
        kind = f' class="{" ".join(kinds)}"' if kinds else ""
        return (f'<text{kind} x="{x + self.shift(text.first, box):g}" y="{centre(text.first).imag + 5:g}">'
                f'{escape(text.words)}</text>')

    def has_line(self, cell, step):
        """Whether a space separates the end of a text from a line that is no border."""
        near, far = cell + step, cell + 2 * step
        is_line = self.cells.get(far) in JOINTS - {"┄", "┆"} and self.borders.get(far, DASHED) == DASHED
        return is_line and near not in self.cells

    def box_around(self, cell):
        for box in reversed(self.boxes):  # the innermost
            if box.first.real < cell.real < box.last.real and box.first.imag <= cell.imag <= box.last.imag:
                return box
        return None

    def shift(self, cell, box):
        """What moves a box's label, or a row of its content, to the middle, if it is half a character or less."""
        if not box:
            return 0
        inside = {column: self.cells[complex(column, cell.imag)]
                  for column in range(int(box.first.real) + 1, int(box.last.real))
                  if complex(column, cell.imag) in self.cells}
        content = [column for column, character in inside.items() if character not in JOINTS]
        if cell not in self.borders and len(content) < len(inside):
            return 0
        shift = (box.first.real + box.last.real - content[0] - content[-1]) * WIDTH / 2
        return shift if abs(shift) <= WIDTH / 2 else 0


def centre(cell):
    return complex(MARGIN + (cell.real + 0.5) * WIDTH, MARGIN + (cell.imag + 0.5) * HEIGHT)


def rounded(points):
    """A path through these points, with round corners."""
    corners = [b for a, b, c in zip(points, points[1:], points[2:]) if ((b - a) * (c - b).conjugate()).imag]
    stops = [points[0], *corners, points[-1]]
    path = f"M{pair(stops[0])}"
    for before, corner, after in zip(stops, stops[1:], stops[2:]):
        path += f"L{pair(near(corner, before))}Q{pair(corner)} {pair(near(corner, after))}"
    return path + f"L{pair(stops[-1])}"


def pair(point):
    return f"{point.real:g},{point.imag:g}"


def near(point, other, radius=6):
    """The point at this distance from a point, on the line to another."""
    return point + (other - point) * min(1, radius / abs(other - point))


def main(arguments):
    check = arguments[:1] == ["--check"]
    for path in [Path(name) for name in arguments[check:]] or sorted(Path(__file__).parent.glob("*.txt")):
        picture, svg = path.with_suffix(".svg"), Drawing(path).svg()
        if not check:
            picture.write_text(svg, encoding="utf-8")
        elif not picture.exists() or picture.read_text(encoding="utf-8") != svg:
            sys.exit(f"{picture} is not what {path.name} gives: run docs/structure/draw.py")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Fault, OSError, UnicodeDecodeError) as fault:
        print(f"draw.py: {fault}", file=sys.stderr)
        sys.exit(2)
