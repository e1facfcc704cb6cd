"""A file of prompts: what is drawn of it, into which files, and again."""

import io
import json
import re
from pathlib import Path

import pytest

from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.cli.drawing import Drawn
from tintype.pipeline import GenerationResult, read_parameters

LINES = (
    "a red circle\n"
    "\n"
    '  {"prompt": "a blue square", "seed": 7.0, "steps": 3.0, "size": "128x128", "output": "blue.png"}\n'
    '{"prompt": "two", "count": 2}\n'
)


@pytest.fixture
def command(sd3: Bundle, tmp_path: Path) -> list[str]:
    (tmp_path / "prompts.txt").write_text(LINES, encoding="utf-8-sig")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    arguments = ["--prompt-file", str(tmp_path / "prompts.txt"), "--model", str(sd3.root), "--steps", "1"]
    return ["generate", *arguments, "--seed", "1", "--backend", "mlx", "-o", str(pictures / "out.png")]


def test_every_line_is_drawn(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    assert run_command([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    names = ["out-1.png", "blue.png", "out-3-1.png", "out-3-2.png"]
    assert [Path(row["output"]).name for row in rows] == names
    assert sorted(file.name for file in folder.iterdir()) == sorted(names)
    assert [(row["settings"]["prompt"], row["settings"]["seed"]) for row in rows] == [
        ("a red circle", 1),
        ("a blue square", 7),
        ("two", 1),
        ("two", 1),
    ]
    assert [row["settings"]["steps"] for row in rows] == [1, 3, 1, 1]
    assert read_parameters(folder / "out-3-2.png")["image_index"] == 1
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    (folder / "out-3-2.png").unlink()
    previews = tmp_path / "previews"
    previews.mkdir()
    assert run_command([*command, "--resume", "--preview-folder", str(previews)]) == 0
    # Previews keep their prompt's number where it is the only one that is left.
    assert sorted(file.name for file in previews.iterdir()) == ["3-1-step-1.png", "3-2-step-1.png"]
    out = capsys.readouterr().out
    assert out.startswith("2 of 3 were drawn already\n")
    assert "out-3-2.png: 128x128, 1 step" in out
    after = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert {n for n in names if after[n] == before[n]} == {"out-1.png", "blue.png"}
    assert run_command([*command, "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the standard input has no prompts: write one a line"),
        ("x\n{x}", "line 2: the line begins with { but is not JSON"),
        ('{"seed": 1}', "line 1: there is no prompt, expected keys among prompt, negative_prompt"),
        ('{"prompt": "x", "latents": 1}', "line 1: 'latents' is not known, expected keys among"),
        ('{"prompt": "x", "size": "big"}', "line 1: size is 'big', expected WIDTHxHEIGHT"),
        ('{"prompt": "x", "count": 1.5}', "line 1: count is 1.5, expected an integer of at least 1"),
        ('{"prompt": "x", "count": 0}', "line 1: count is 0, expected an integer of at least 1"),
        ('{"prompt": "x", "output": 3}', "line 1: output is 3, expected a file's name"),
        ('{"prompt": "x", "output": "a.xyz"}', "a.xyz has no suffix of an image format: name it with .png"),
        ('x\n{"prompt": "y", "output": "out-1.png"}', "line 2: .*out-1.png is the file of .*line 1, too"),
        ('x\n{"prompt": "y", "steps": 0}', "line 2: steps is 0, expected an integer from 1 to 1000"),
        ('{"prompt": 3}', "line 1: prompt is a int, expected a string"),
    ],
)
def test_a_line_that_cannot_be_is_named(
    command: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    command[2] = "-"
    assert run_command(command) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list((tmp_path / "pictures").iterdir()) == []


def test_only_files_of_prompts_are_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out.png").write_bytes(b"of something else")
    assert run_command(["generate", "a cat", "--resume", "-o", str(tmp_path / "out.png")]) == 2
    assert "--resume leaves out what --prompt-file has drawn" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Drawn.saved

    def interrupted(result: GenerationResult, output: Path) -> Drawn:
        if output.name == "blue.png":
            raise KeyboardInterrupt
        return saved(result, output)

    monkeypatch.setattr(Drawn, "saved", interrupted)
    assert run_command(command) == 130
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert lines == [
        "tintype: 1 of 4 pictures are drawn; with --resume the same command goes on",
        "tintype: error: interrupted",
    ]
    assert [file.name for file in (tmp_path / "pictures").iterdir()] == ["out-1.png"]


def test_a_file_that_cannot_be_read(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command[2] = "absent.txt"
    assert run_command(command) == 2
    assert "absent.txt (No such file or directory): name a text file" in capsys.readouterr().err
    assert run_command([*command, "a prompt"]) == 2
    assert "--prompt-file names all prompts: leave PROMPT and --from out" in capsys.readouterr().err
