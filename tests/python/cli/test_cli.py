"""The command line as a user meets it: output, exit codes, one line for every error."""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tintype.bundle import Bundle
from tintype.cli.app import run_command
from tintype.pipeline import read_parameters
from tintype.run import BackendInfo


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINTYPE_CACHE", str(tmp_path_factory.getbasetemp() / "cli-cache"))


def tintype(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tintype.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_help_is_quick_and_light() -> None:
    """Measured in processor time: on a busy machine the clock on the wall says nothing of the command."""
    code = "import sys; from tintype.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert result.returncode == 0
    assert min(seconds) < 0.3
    assert "generate" in result.stdout
    modules = set(result.stdout.splitlines()[-1].split())
    assert "tintype.cli.app" in modules
    assert not modules & {"coremltools", "mlx", "numpy", "rich", "PIL", "tokenizers"}


@pytest.mark.parametrize(
    "command", ["generate", "convert", "inspect", "verify", "backends", "run", "warm", "bench"]
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: tintype {command}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import tintype as package

    assert run_command(["--version"]) == 0
    assert capsys.readouterr().out == f"tintype {package.__version__}\n"


def test_generate_with_the_embedded_model(tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "a.png"
    result = tintype("generate", "a red circle", "--steps", 2, "--seed", 5, "--backend", "mlx", "-o", picture)
    assert (result.returncode, result.stderr) == (0, "")
    first, second, third = result.stdout.splitlines()
    assert first == "text_encoder, denoiser, vae on mlx (asked for)"
    assert second.startswith(f"{picture}: 128x128, 2 steps, guidance 4, seed 5")
    assert third.startswith("seconds: load ")
    assert read_parameters(picture)["prompt"] == "a red circle"


def test_generate_as_json(demo: Bundle, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    arguments = ["generate", "x", "--model", str(demo.root), "--steps", "1", "--json", "-o", str(picture)]
    assert (
        run_command([*arguments, "--negative-prompt", "n", "--guidance-scale", "2", "--size", "128x128"]) == 0
    )
    value = json.loads(capsys.readouterr().out)
    assert value["output"] == str(picture)
    assert value["settings"] == read_parameters(picture)
    assert value["settings"]["guidance_scale"] == 2
    assert value["stages"]["vae"]["backend"] == "mlx"
    assert value["timings"]["total"] > 0


def test_several_pictures_from_a_picture_with_previews(
    demo: Bundle, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ["--model", str(demo.root), "--backend", "mlx"]
    first, out, previews = tmp_path / "first.png", tmp_path / "out.png", tmp_path / "previews"
    assert run_command(["generate", "x", *model, "--steps", "1", "--quiet", "-o", str(first)]) == 0
    arguments = [
        "generate",
        "a red circle",
        *model,
        "--steps",
        "4",
        "--image",
        str(first),
        "--mask",
        str(first),
    ]
    arguments += ["--strength", "0.5", "--count", "2", "--generator", "torch", "--seed", "3", "--json"]
    arguments += ["--preview-folder", str(previews), "-o", str(out)]
    assert run_command(arguments) == 2
    assert f"the folder {previews} does not exist: make it" in capsys.readouterr().err
    previews.mkdir()
    assert run_command(arguments) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["output"] for row in rows] == [str(tmp_path / f"out-{n}.png") for n in (1, 2)]
    for index, row in enumerate(rows):
        assert row["settings"] == read_parameters(pathlib.Path(row["output"]))
        assert row["settings"].get("image_index", 0) == index
        assert (row["settings"]["strength"], row["settings"]["generator"]) == (0.5, "torch")
    assert sorted(file.name for file in previews.iterdir()) == [
        f"{picture}-step-{step}.png" for picture in (1, 2) for step in (1, 2)
    ]
    assert not out.exists()


def test_a_picture_is_drawn_again_from_its_settings(
    demo: Bundle, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again, changed = (tmp_path / f"{name}.png" for name in ("first", "again", "changed"))
    model = ["--model", str(demo.root), "--backend", "mlx", "--quiet"]
    arguments = ["a red circle", "--negative-prompt", "blue", "--steps", "2", "--generator", "torch"]
    assert run_command(["generate", *arguments, *model, f"-o{first}"]) == 0  # a random seed
    assert run_command(["generate", "--from", str(first), *model, f"-o{again}"]) == 0
    assert again.read_bytes() == first.read_bytes()
    replaced = ["a blue square", "--from", str(first), "--steps", "1"]
    assert run_command(["generate", *replaced, *model, f"-o{changed}"]) == 0
    old, new = read_parameters(first), read_parameters(changed)
    assert new == old | {"prompt": "a blue square", "steps": 1}
    capsys.readouterr()
    assert run_command(["inspect", str(first), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"kind": "picture", "path": str(first)} | old
    assert run_command(["inspect", str(first)]) == 0
    assert f"seed             {old['seed']}\n" in capsys.readouterr().out


def huge_picture(folder: pathlib.Path) -> pathlib.Path:
    """A PNG whose header announces 30000 x 30000 pixels."""
    file = folder / "huge.png"
    Image.new("L", (1, 1)).save(file)
    content = bytearray(file.read_bytes())
    content[16:24] = (30000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)
    return file


def test_pictures_without_settings_are_refused(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, broken = tmp_path / "plain.png", tmp_path / "broken.png"
    Image.new("RGB", (4, 4)).save(plain)
    broken.write_bytes(b"no picture")
    huge = huge_picture(tmp_path)
    for path, message in (
        (plain, f"{plain} carries no settings: only PNG files that tintype wrote do"),
        (broken, f"{broken} cannot be read as a picture"),
        (huge, f"{huge} cannot be read as a picture (Image size (900000000 pixels) exceeds limit"),
        (tmp_path / "gone.png", "there is no picture at"),
    ):
        assert run_command(["generate", "--from", str(path), "-o", str(tmp_path / "o.png")]) == 2
        assert message in capsys.readouterr().err
    assert run_command(["inspect", str(plain)]) == 2
    assert "carries no settings" in capsys.readouterr().err


def test_quiet_says_nothing(demo: Bundle, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a.png"
    assert (
        run_command(["generate", "x", "--model", str(demo.root), "--steps=1", "--quiet", f"-o{picture}"]) == 0
    )
    assert capsys.readouterr() == ("", "")
    assert picture.is_file()


def test_a_cut_prompt_is_a_warning_line(demo: Bundle, tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "a.png"
    prompt = "red " * 22 + "blue"
    result = tintype("generate", prompt, "--model", demo.root, "--steps", 1, "--quiet", "-o", picture)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == (
        "tintype: warning: the prompt is longer than the 24 tokens that CLIP reads; "
        "this part was cut: 'blue'\n"
    )


def test_an_input_is_given_once(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.npy"
    np.save(file, np.zeros(1))
    assert run_command(["run", "nothing", "--input", f"x={file}", "--input", f"x={file}", "-o", "a.npz"]) == 2
    assert "--input x is given twice: give each input once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["generate", "x", "--steps", "0"], 2, "steps is 0, expected an integer from 1 to 1000"),
        (["generate", "x", "--size", "100x128"], 2, "width is 100, expected a multiple of 16"),
        (["generate", "x", "--size", "big"], 2, "'big' is not WIDTHxHEIGHT in pixels, such as 1024x768"),
        (["generate", "x", "--seed", "-1"], 2, "seed is -1, expected an integer from 0 to 4294967295"),
        (["generate", "x", "--backend", "tpu"], 2, "'tpu' is not one of 'auto', 'coreml', 'mlx'"),
        (["generate", "x", "-o", "a.xyz"], 2, "a.xyz has no suffix of an image format: name it with .png"),
        (["generate"], 2, "Missing argument 'PROMPT'. (see `tintype generate --help`)"),
        (["generate", "x", "--model", "nothing"], 1, "there is no bundle at nothing: convert a model"),
        (["convert", "nothing", "-o", "b"], 1, "nothing"),
        (["inspect", "nothing"], 1, "there is nothing at nothing: name a bundle or an .mlpackage"),
        (["inspect", "."], 1, ". is no bundle, .mlpackage, folder of them, or .png: name one of these"),
        (["run", "nothing", "-o", "a.npz"], 1, "there is no model at nothing"),
        (["run", "nothing", "--input", "x", "-o", "a.npz"], 2, "--input is 'x', expected NAME=FILE.npy"),
        (
            ["run", "nothing", "--input", "x=no.npy", "-o", "a.npz"],
            2,
            "no.npy cannot be read as an .npy file",
        ),
        (
            ["verify", "b", "--probe", "--previews"],
            2,
            "--probe and --previews are tasks of their own: name one",
        ),
        (
            ["verify", "b", "--probe", "--against", "c"],
            2,
            "--probe looks at the bundle alone: leave --against",
        ),
        (["verify", "b", "--variant", "fp16"], 2, "--variant says how to read a checkpoint: name it with"),
        (
            ["bench", "--suite", "cpu", "--backend", "mlx"],
            2,
            "--backend belongs to --suite demo or a bundle or a package, not cpu: leave it out",
        ),
        (["bench", "b", "--suite", "cpu"], 2, "--suite and a bundle exclude each other: leave one of them"),
        (["bench", "b", "--count", "20"], 2, "--count belongs to --suite demo, not a bundle: leave it out"),
        (["bench", "p.mlpackage", "--steps", "2"], 2, "--steps belongs to --suite demo or a bundle, not a p"),
        (["bench", "--size", "64x64"], 2, "--size belongs to a bundle, not demo: leave it out"),
        (["bench", "nowhere"], 1, "there is no bundle at nowhere"),
        (["bench", "nowhere.mlpackage"], 1, "there is no model at nowhere.mlpackage"),
        (["bench", "--megabytes", "100"], 2, "--megabytes belongs to --suite memory, not demo: leave it out"),
        (["paint"], 2, "No such command 'paint'"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tintype: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_an_absent_backend_has_its_own_code(
    capsys: pytest.CaptureFixture[str], demo: Bundle, monkeypatch
) -> None:
    from tintype.errors import BackendUnavailable

    def refuse(*arguments: object) -> None:
        raise BackendUnavailable('backend "coreml" is not available: no Swift; install it')

    monkeypatch.setattr("tintype.pipeline.stages.load_model", refuse)
    assert run_command(["generate", "x", "--model", str(demo.root), "--backend", "coreml"]) == 3
    assert capsys.readouterr().err == (
        'tintype: error: backend "coreml" is not available: no Swift; install it\n'
    )


def test_a_bug_is_one_line_too_unless_debugged(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("tintype.run.backends", fail)
    assert run_command(["backends"]) == 1
    assert capsys.readouterr().err == (
        "tintype: error: internal error (ZeroDivisionError: division by zero); --debug shows where\n"
    )
    assert run_command(["--debug", "backends"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


INTERRUPTED_IN_THE_LOOP = """
import _thread, signal
from tintype.cli import main
from tintype.pipeline.denoising import Denoiser

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell's children ignore it
velocity = Denoiser.velocity

def interrupting(self, latents, index):
    if index == 3:
        _thread.interrupt_main()
    return velocity(self, latents, index)

Denoiser.velocity = interrupting
main()
"""


def test_interruption(demo: Bundle, tmp_path: pathlib.Path) -> None:
    picture = tmp_path / "a.png"
    arguments = ["generate", "x", "--model", str(demo.root), "--steps", "1000", "-o", str(picture)]
    command = [sys.executable, "-c", INTERRUPTED_IN_THE_LOOP, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 130
    assert result.stderr.strip().splitlines()[-1] == "tintype: error: interrupted"
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []


def test_a_reader_that_goes_away(sd3: Bundle) -> None:
    command = (
        f"{sys.executable} -c 'from tintype.cli import main; main()' inspect --json {sd3.root} | head -1"
    )
    result = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("{\n", "")


def test_convert_then_inspect(
    data: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "b"
    options = ["--components", "text_encoder, denoiser", "--batch", "2", "--precision", "float32"]
    assert run_command(["convert", str(data / "sd3-medium-tiny"), "-o", str(bundle), *options]) == 0
    assert capsys.readouterr().out.startswith(f"{bundle}: sd3, float32, 128x128, 3 components, ")
    assert run_command(["inspect", str(bundle), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert list(value["components"]) == ["text_encoder", "modulation", "denoiser"]
    denoiser = value["components"]["denoiser"]
    assert denoiser["inputs"][0] == {"name": "latent", "dtype": "float32", "shape": [2, 16, 16, 16]}
    assert denoiser["parameters"] > 250_000
    assert denoiser["weight_bytes"] > 1_000_000
    assert denoiser["op_count"] == sum(denoiser["ops"].values()) > 100
    assert run_command(["convert", str(data / "sd3-medium-tiny"), "-o", str(bundle), *options]) == 1
    assert "exists: choose another output, or allow it to be overwritten" in capsys.readouterr().err
    assert (
        run_command(["convert", str(data / "sd3-medium-tiny"), "-o", str(bundle), "--overwrite", "--quiet"])
        == 0
    )
    assert capsys.readouterr() == ("", "")


def test_inspect_for_people(
    sd3: Bundle, small_package: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["inspect", str(sd3.root)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("sd3-medium-tiny: sd3, float32, 128x128, target gpu\n")
    assert "latent float32 [1, 16, 16, 16]" in out
    assert "tokenizer_3: t5_unigram, 77 tokens" in out
    assert run_command(["inspect", str(small_package)]) == 0
    out = capsys.readouterr().out
    assert "main: 2 ops (1 linear, 1 relu)" in out
    assert "input  x float16 [2, 3]" in out
    assert run_command(["inspect", str(small_package), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["functions"]["main"]["ops"] == {"linear": 1, "relu": 1}


def test_inspect_neural_engine(
    ane: Bundle, small_package: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["inspect", "--neural-engine", str(ane.root)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Forecast by published rules")
    for name in ("modulation", "denoiser"):
        assert re.search(rf"{name} +100 % ", out)
        assert f"{name}: off" not in out
    assert "text_encoder: off the Neural Engine" in out
    assert "gather (fall-back)" in out
    assert run_command(["inspect", "--neural-engine", "--json", str(small_package)]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["forecast"] is True
    row = value["packages"][small_package.name]
    assert [(m["op"], m["rule"], m["place"]) for m in row["misses"]] == [("linear", "layout", "linear_0")]
    assert row["flops"] == 2 * 2 * 64 * 3 + 2 * 64 + 2 * 64
    assert set(row["roofline"]) >= {"M1", "M4"}


def test_inspect_shows_core_mls_plan_where_it_is_apples(
    small_package: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    swift_runtime: None,
) -> None:
    assert run_command(["inspect", "--neural-engine", str(small_package)]) == 0
    assert "compute plan" not in capsys.readouterr().out, (
        "the portable Core ML knows nothing of the Neural Engine"
    )
    monkeypatch.setattr(BackendInfo, "is_apples", True)
    assert run_command(["inspect", "--neural-engine", str(small_package)]) == 0
    out = capsys.readouterr().out
    assert "Core ML's compute plan (portable, CPU and Neural Engine allowed):" in out
    assert re.search(r"small.mlpackage +0.0000 % +0 +0 +2", out)
    assert run_command(["inspect", "--neural-engine", "--json", str(small_package)]) == 0
    plan = json.loads(capsys.readouterr().out)["compute_plans"][small_package.name]
    assert plan["implementation"] == "portable"
    assert plan["units"] == "ane"
    assert plan["devices"] == {"cpu": {"operations": 2}}
    assert plan["elsewhere"] == []


def test_backends(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["backends"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["coreml", "mlx"]
    assert run_command(["backends", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [set(row) for row in rows] == [{"name", "available", "reason", "details"}] * 2
    assert rows[1]["available"]


def test_inputs_of_run_that_cannot_be_read(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.npy").touch()
    for file, reason in ((tmp_path / "empty.npy", "No data left"), (huge_picture(tmp_path), "exceeds limit")):
        assert run_command(["run", "nothing", "--input", f"x={file}", "-o", "a.npz"]) == 2
        message = capsys.readouterr().err
        assert f"--input x: {file} cannot be read as an .npy file or a picture" in message
        assert reason in message


def test_run_writes_outputs_of_any_name(tmp_path: pathlib.Path) -> None:
    """`np.savez` has an argument called `file`."""
    import coremltools as ct
    from coremltools.converters.mil import Builder

    @Builder.program(input_specs=[Builder.TensorSpec((2, 3))], opset_version=ct.target.iOS17)
    def program(x):
        return Builder.identity(x=x, name="file")

    model = ct.convert(program, compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY)
    model.save(str(tmp_path / "file.mlpackage"))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.save(tmp_path / "x.npy", x)
    output = tmp_path / "o.npz"
    arguments = [f"--input=x={tmp_path / 'x.npy'}", "--backend=mlx", "-o", str(output)]
    assert run_command(["run", str(tmp_path / "file.mlpackage"), *arguments]) == 0
    with np.load(output) as found:
        assert found.files == ["file"]
        np.testing.assert_array_equal(found["file"], x)


def test_run_prints_what_has_no_file(
    data: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    add = ["run", str(data / "packages/add.mlpackage"), "--backend=mlx"]
    add += [f"--input={name}={tmp_path / 'x.npy'}" for name in "ab"]
    assert run_command(add) == 0
    expected = ["sum: float32 [2, 3]", "[[ 0.  2.  4.]", " [ 6.  8. 10.]]"]
    assert capsys.readouterr().out.splitlines()[1:] == expected
    assert run_command([*add, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_run_begins_with_states_of_zeros(
    data: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.array([3, 4], np.float16))
    line = [
        "run",
        str(data / "packages/stateful.mlpackage"),
        f"--input=x={tmp_path / 'x.npy'}",
        "--backend=mlx",
    ]
    assert run_command(line) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["y: float16 [2]", "[3. 4.]"]


def test_run_any_package(
    small_package: pathlib.Path,
    small_weight: np.ndarray,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = np.asarray([[1, 2, 3], [4, 5, 6]], np.float16)
    np.save(tmp_path / "x.npy", x)
    output = tmp_path / "o.npz"
    assert run_command(["run", str(small_package), f"--input=x={tmp_path / 'x.npy'}", "-o", str(output)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["y: float16 [2, 64]", str(output)]
    expected = np.maximum(x.astype(np.float32) @ small_weight.astype(np.float32).T, 0)
    np.testing.assert_allclose(np.load(output)["y"], expected, rtol=2e-3, atol=2e-2)
    stats = ["run", str(small_package), f"--input=x={tmp_path / 'x.npy'}", "-o", str(output), "--stats"]
    assert run_command([*stats, "--backend", "mlx"]) == 0
    table = capsys.readouterr().out.splitlines()[3:]
    assert table[0].split() == ["op", "calls", "ms", "bytes"]
    assert any(row.startswith("linear + relu ") for row in table[1:-1])
    assert "peak of live values" in table[-1]
    np.save(tmp_path / "x.npy", x.astype(np.int32))
    assert run_command(["run", str(small_package), f"--input=x={tmp_path / 'x.npy'}", "-o", str(output)]) == 1
    assert "int32" in capsys.readouterr().err


def test_run_reads_floats_as_float16(
    small_package: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["run", str(small_package), f"--input=x={tmp_path / 'x.npy'}", "--backend=mlx"]
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float16))
    assert run_command(line) == 0
    expected = capsys.readouterr().out
    np.save(tmp_path / "x.npy", np.ones((2, 3), np.float32))
    assert run_command(line) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (expected, "tintype: --input x: float32 is read as float16\n")
    np.save(tmp_path / "x.npy", np.full((2, 3), 1e6))
    assert run_command(line) == 2
    assert "--input x holds 1000000.0, which no float16 can" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="the suite reads /proc")
def test_bench_memory_opens_without_reading_and_adds_only_what_lives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command(["bench", "--suite", "memory", "--megabytes", "60", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["weight_mb"] >= 50
    assert found["opened_mb"] < 0.75 * found["weight_mb"]
    # Weights, values, and what the engine's library itself takes up; never a second copy of the weights.
    assert found["peak_mb"] < 2 * found["weight_mb"] + found["live_mb"]
