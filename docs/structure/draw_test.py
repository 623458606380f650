#!/usr/bin/env python3
"""Tests draw.py: each picture is what its drawing gives, and a faulty drawing gets one sentence that says where."""
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
BOX = "┌────┐\n│lock│─▶\n└────┘\n"
SVG = "{http://www.w3.org/2000/svg}"


def draw(*arguments):
    done = subprocess.run([sys.executable, HERE / "draw.py", *arguments], capture_output=True, text=True)
    return done.returncode, done.stderr


def expect(expected, actual, what):
    if actual != expected:
        sys.exit(f"FAILED: {what}: expected {expected}, got {actual}")


expect((0, ""), draw("--check"), "the pictures of the course")
for picture in HERE.glob("*.svg"):
    expect(True, picture.with_suffix(".txt").exists(), f"the drawing of {picture.name}")

with tempfile.TemporaryDirectory() as folder:
    drawing = Path(folder, "stage05.txt")
    picture = drawing.with_suffix(".svg")
    for text, place, fault in (
            ("─" * 77, "1:77", "a line has at most 76 characters"),
            ("\n" * 18 + "lock", "19:1", "a drawing has at most 18 lines"),
            (BOX.replace("lock", "löck"), "2:3", "unknown character 'ö'"),
            ("◀─▶\n▲", "2:1", "this arrow head has no line"),
            (BOX.replace("└", " "), "2:1", "this line ends without joining another, or its box does not close"),
            (BOX.replace("┘", "─"), "2:6", "this line ends without joining another, or its box does not close"),
            (BOX.replace("k│", "k "), "1:6", "this line ends without joining another, or its box does not close")):
        drawing.write_text(text, encoding="utf-8")
        expect((2, f"draw.py: {drawing}:{place}: {fault}\n"), draw(drawing), repr(text))
        expect(False, picture.exists(), f"the picture of {text!r}")

    drawing.write_text("┌──┐\n│  └─┐\n└────┘\n", encoding="utf-8")
    expect((0, ""), draw(drawing), "a loop that is no box")
    expect(5, picture.read_text(encoding="utf-8").count("Q"), "its round corners, except where it begins")
    picture.unlink()

    drawing.write_text(BOX, encoding="utf-8")
    stale = (1, f"{picture} is not what {drawing.name} gives: run docs/structure/draw.py\n")
    expect(stale, draw("--check", drawing), "a missing picture")
    expect((0, ""), draw(drawing), "a drawing")
    expect((0, ""), draw("--check", drawing), "its picture")
    root = ElementTree.parse(picture).getroot()
    expect("The structure of stage 5", root.find(f"{SVG}title").text, "the title")
    expect(["card", "box"], [box.get("class") for box in root.iter(f"{SVG}rect")], "the boxes")
    expect(["lock"], [text.text for text in root.iter(f"{SVG}text")], "the texts")
    drawing.write_text(BOX.replace("lock", "wait"), encoding="utf-8")
    expect(stale, draw("--check", drawing), "a changed drawing")
