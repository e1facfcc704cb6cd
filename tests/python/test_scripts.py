"""The scripts that build for Apple's systems: what they would do, since it cannot be done here."""

import os
import pathlib
import plistlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
PIN = re.search(r'"mlx==([0-9.]+); sys_platform == \'darwin\'"', (ROOT / "pyproject.toml").read_text())


def call(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with both streams in one."""
    return subprocess.run(
        ["bash", str(SCRIPTS / script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_a_framework_of_three_slices(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "out"
    run = call(
        "build-xcframework.sh", "--dry-run", "--platforms", "macos,ios,simulator", "--output", str(output)
    )
    assert run.returncode == 0, run.stdout
    assert not output.exists()
    lines = run.stdout.splitlines()
    assert PIN is not None
    (wheel,) = (line for line in lines if " pip install " in line)
    assert f"--target {output}/work/wheel" in wheel
    assert f"--platform macosx_14_0_arm64 mlx-metal=={PIN[1]} " in wheel
    clones = [line for line in lines if " clone " in line]
    assert all(f"--branch v{PIN[1]} https://github.com/ml-explore/mlx.git" in line for line in clones)
    builds = [line for line in lines if " -DMLX_BUILD_METAL=ON" in line]
    assert [re.findall(r"-DCMAKE_OSX_SYSROOT=(\w+)", line) for line in builds] == [
        ["iphoneos"],
        ["iphonesimulator"],
    ]
    assert all("-DCMAKE_SYSTEM_NAME=iOS" in line and f"PATH={SCRIPTS}/metal:" in line for line in builds)
    engines = [line for line in lines if line.startswith(f"cmake -S {SCRIPTS}/engine")]
    assert [re.search(r"-B \S+/(\w+) -DMLX_DIR=(\S+)", line).groups() for line in engines] == [  # type: ignore[union-attr]
        (name, f"{output}/work/{mlx}/share/cmake/MLX")
        for name, mlx in (("macos", "wheel/mlx"), ("ios", "mlx-ios"), ("simulator", "mlx-simulator"))
    ]
    assert all("-DCMAKE_SKIP_BUILD_RPATH=ON" in line for line in engines)
    assert [re.findall(r"-DCMAKE_OSX_DEPLOYMENT_TARGET=(\S+)", line) for line in engines] == [
        ["14.0"],
        ["17.0"],
        ["17.0"],
    ]
    (framework,) = (line for line in lines if line.startswith("xcodebuild -create-xcframework"))
    assert framework.count("-framework ") == 3


def test_an_mlx_that_is_there_is_used() -> None:
    run = call("build-xcframework.sh", "--dry-run", "--platforms", "ios", "--mlx", "ios=/mlx")
    assert run.returncode == 0
    assert "-DMLX_DIR=/mlx/share/cmake/MLX" in run.stdout
    assert "clone" not in run.stdout


def test_macos_from_source() -> None:
    run = call("build-xcframework.sh", "--dry-run", "--from-source")
    assert run.returncode == 0
    assert "pip install" not in run.stdout
    assert "-DCMAKE_OSX_SYSROOT=macosx" in run.stdout
    assert "-DCMAKE_SYSTEM_NAME" not in run.stdout


#: What the commands of a Mac leave behind that the script goes on with.
MAC = {
    "uname": "echo Darwin",
    "cmake": 'while [ $# -gt 0 ]; do if [ "$1" = -B ]; then mkdir -p "$2"; : >"$2/libtintype_engine.dylib"; fi; shift; done',
    **dict.fromkeys(["codesign", "install_name_tool", "strip", "xcrun"], ""),
    "xcodebuild": 'for last; do :; done; mkdir "$last"',
    # Keeps what is deleted last, so that it can be looked at.
    "rm": "",
}


@pytest.mark.parametrize(
    ("platform", "shared", "metal", "info", "minimum"),
    [
        # Signing takes a file directly in Versions/A for code, and MLX looks beside itself and into Resources there.
        ("macos", False, "Versions/A/Resources/mlx.metallib", "Versions/A/Resources/Info.plist", "14.0"),
        ("macos", True, "Versions/A/Libraries/mlx.metallib", "Versions/A/Resources/Info.plist", "14.0"),
        ("ios", False, "mlx.metallib", "Info.plist", "17.0"),
    ],
)
def test_a_framework_can_be_signed_and_finds_its_metal_library(
    tmp_path: pathlib.Path, platform: str, shared: bool, metal: str, info: str, minimum: str
) -> None:
    tools, mlx, output = tmp_path / "bin", tmp_path / "mlx", tmp_path / "out"
    for folder in (tools, mlx / "lib", mlx / "share/cmake/MLX"):
        folder.mkdir(parents=True)
    for name, body in MAC.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    libraries = ["mlx.metallib", "libmlx.dylib" if shared else "libmlx.a"]
    for file in ("share/cmake/MLX/MLXConfig.cmake", *(f"lib/{name}" for name in libraries)):
        (mlx / file).touch()
    output.mkdir()
    run = call(
        "build-xcframework.sh",
        *("--platforms", platform, "--mlx", f"{platform}={mlx}", "--output", str(output)),
        PATH=f"{tools}:{os.environ['PATH']}",
    )
    assert run.returncode == 0, run.stdout
    framework = output / f"work/{platform}/TintypeEngine.framework"
    assert (framework / metal).is_file()
    plist = plistlib.loads((framework / info).read_bytes())
    key = "MinimumOSVersion" if platform == "ios" else "LSMinimumSystemVersion"
    assert (plist["CFBundleExecutable"], plist[key]) == ("TintypeEngine", minimum)
    assert (framework / "TintypeEngine").is_file()
    if platform == "macos":
        inner = framework / "Versions/A"
        assert [file.name for file in inner.iterdir() if file.is_file()] == ["TintypeEngine"]
        assert (framework / "Resources").resolve() == inner / "Resources"


@pytest.mark.parametrize(
    ("script", "arguments", "problem"),
    [
        (
            "build-xcframework.sh",
            ["--platforms", "tvos"],
            "--platforms names 'tvos', expected some of macos, ios",
        ),
        ("build-xcframework.sh", ["--mlx", "x"], "--mlx is 'x', expected macos=PREFIX, ios=PREFIX or"),
        ("build-xcframework.sh", ["--what"], "unknown argument '--what'; see --help"),
        ("build-mlx.sh", [], "name a platform: macos, ios or simulator"),
        ("build-mlx.sh", ["tvos"], "there is no platform 'tvos'"),
        ("build-mlx.sh", ["ios"], "name the folder to install to"),
        ("build-mlx.sh", ["ios", "a", "b"], "'b' is one argument too many"),
    ],
)
def test_mistakes(script: str, arguments: list[str], problem: str) -> None:
    run = call(script, *arguments)
    assert run.returncode == 1
    assert run.stdout.startswith(f"{script.removesuffix('.sh')}: {problem}")


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac can build them")
@pytest.mark.parametrize("arguments", [["build-xcframework.sh"], ["build-mlx.sh", "ios", "/nowhere"]])
def test_only_a_mac_builds(arguments: list[str]) -> None:
    run = call(*arguments)
    assert run.returncode == 1
    assert "on a Mac only; --dry-run shows how" in run.stdout


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            "-sdk macosx metal -O2 -mmacosx-version-min=14.0 -c a.metal",
            "-sdk iphoneos metal -O2 -c a.metal -mios-version-min=17.0",
        ),
        ("-sdk macosx metallib a.air -o mlx.metallib", "-sdk iphoneos metallib a.air -o mlx.metallib"),
        ("-sdk macosx --show-sdk-version", "-sdk macosx --show-sdk-version"),
    ],
)
def test_kernels_are_compiled_for_the_platform(given: str, expected: str) -> None:
    run = call(
        "metal/xcrun",
        *given.split(),
        SYSTEM_XCRUN="echo",
        METAL_SDK="iphoneos",
        METAL_MINIMUM="-mios-version-min=17.0",
    )
    assert run.stdout.strip() == expected
