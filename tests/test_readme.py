"""What the README says is so: its commands exist, its links lead somewhere, its picture is true."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_its_make_commands_exist():
    commands = set(re.findall(r"^make (\w+)$", README, re.MULTILINE))
    assert commands == {"demo", "test"}
    for command in commands | {"check", "conformance", "bench", "soak"}:
        planned = subprocess.run(
            ["make", "-n", command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_links_of_the_documents_lead_somewhere():
    broken = [
        (document.name, link)
        for document in (ROOT / "docs").rglob("*.md")
        for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text())
        if not (document.parent / link).exists()
    ]
    assert broken == []


def test_its_picture_shows_the_scenes_of_the_demo():
    picture = README.split("<!-- demo -->")[1].split("<!-- /demo -->")[0]
    scenes = re.findall(r'^            \("([^"]+)", self\._\w+\),$', story(), re.MULTILINE)
    assert len(scenes) == 7
    for number, scene in enumerate(scenes, 1):
        assert f"{number}. {scene}" in picture
    assert "Every step gave what it must" in picture


def story():
    return (ROOT / "src/sild/devnet/demo.py").read_text()
