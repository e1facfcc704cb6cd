"""Files as inputs of `tintype run`."""

import pathlib

import numpy as np
import pytest

from tintype.cli.app import run_command


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """y = x + 1 in float32, m = n + 1 in int32."""
    import coremltools as ct
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types

    specs = [Builder.TensorSpec((2,)), Builder.TensorSpec((2,), dtype=types.int32)]

    @Builder.program(input_specs=specs, opset_version=ct.target.iOS17)
    def program(x, n):
        return Builder.add(x=x, y=np.float32(1), name="y"), Builder.add(x=n, y=np.int32(1), name="m")

    model = ct.convert(program, compute_precision=ct.precision.FLOAT32, pass_pipeline=ct.PassPipeline.EMPTY)
    path = tmp_path_factory.mktemp("sums") / "sums.mlpackage"
    model.save(str(path))
    return path


def run_sums(package: pathlib.Path, folder: pathlib.Path, x: np.ndarray, n: np.ndarray, *more: str) -> int:
    np.save(folder / "x.npy", x)
    np.save(folder / "n.npy", n)
    inputs = [f"--input={name}={folder / name}.npy" for name in "xn"]
    return run_command(["run", str(package), *inputs, "--backend=mlx", "-o", str(folder / "o.npz"), *more])


def test_run_reads_floats_as_float32_and_integers_as_int32(
    sums: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for x, n in ((np.float64, np.int64), (np.float16, np.uint8)):
        assert run_sums(sums, tmp_path, np.array([1.5, -2], x), np.array([3, 250], n)) == 0
        assert capsys.readouterr().err.splitlines() == [
            f"tintype: --input x: {np.dtype(x)} is read as float32",
            f"tintype: --input n: {np.dtype(n)} is read as int32",
        ]
        with np.load(tmp_path / "o.npz") as found:
            assert (found["y"].tolist(), found["m"].tolist()) == ([2.5, -1], [4, 251])
    assert run_sums(sums, tmp_path, np.zeros(2), np.zeros(2, np.int64), "--quiet") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("x", "n", "message"),
    [
        (np.array([1, 1e300]), np.zeros(2, np.int32), "--input x holds 1e+300, which no float32 can"),
        (np.zeros(2), np.array([0, 2**31]), "--input n holds 2147483648, which no int32 can"),
        (np.zeros(2), np.array([-(2**63), 0]), "--input n holds -9223372036854775808, which no int32 can"),
        (np.zeros(2, np.int32), np.zeros(2, np.int32), "wrong dtype, got int32, expected float32"),
        (np.zeros(2), np.zeros(2), "wrong dtype, got float64, expected int32"),
    ],
)
def test_run_changes_no_value(
    sums: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], x, n, message: str
) -> None:
    assert run_sums(sums, tmp_path, x, n) != 0
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.npz").exists()


def test_run_takes_no_archive_and_asks_for_its_folder_first(
    sums: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "x.npz"
    np.savez(archive, a=np.zeros(2), b=np.zeros(2))
    assert run_command(["run", str(sums), f"--input=x={archive}", "-o", str(tmp_path / "o.npz")]) == 2
    assert capsys.readouterr().err == (
        f"tintype: error: --input x: {archive} is an archive of arrays (a, b), expected one array: save it with "
        f"numpy.save('x.npy', numpy.load('{archive}')['a'])\n"
    )
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    assert run_command(["run", str(sums), f"--input=x={tmp_path / 'damaged.npz'}", "-o", "o.npz"]) == 2
    assert "cannot be read as an .npy file or a picture (File is not a zip file)" in capsys.readouterr().err
    assert run_sums(sums, tmp_path, np.zeros(2), np.zeros(2, np.int32), "-o", "nodir/o.npz") == 2
    assert "the folder nodir does not exist: make it, or name another file" in capsys.readouterr().err
