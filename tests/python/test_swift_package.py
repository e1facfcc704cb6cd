"""The Swift package as an app depends on it: by version, which SwiftPM allows only without unsafe flags."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWIFT = shutil.which("swift")

MANIFEST = """// swift-tools-version: 6.0
import PackageDescription

let package = Package(
  name: "App",
  platforms: [.macOS(.v13), .iOS(.v16)],
  dependencies: [.package(url: "REPOSITORY", from: "0.1.0")],
  targets: [.executableTarget(name: "App", dependencies: [.product(name: "Tintype", package: "tintype")])])
"""

MAIN = """import Tintype

let request = GenerationRequest("a lighthouse at dawn", steps: 1)
print(request.prompt, tintypeVersion)
do {
  _ = try TextToImagePipeline(bundle: ModelBundle(at: URL(fileURLWithPath: "nowhere")))
} catch let error as BundleError {
  print(error)
}
"""


def run(*command: object, cwd: Path, **environment: str) -> str:
    variables = {**os.environ, **environment}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def targets(**environment: str) -> dict[str, set[str]]:
    """Every target of the package, with the targets that it depends on."""
    text = run(SWIFT, "package", "dump-package", cwd=ROOT, **environment)
    return {
        target["name"]: {dependency["byName"][0] for dependency in target["dependencies"]}
        for target in json.loads(text)["targets"]
    }


@pytest.mark.skipif(SWIFT is None, reason="no Swift on this machine")
def test_an_app_depends_on_a_version(tmp_path: Path) -> None:
    repository, app = tmp_path / "tintype", tmp_path / "app"
    # What git knows, as it is now: edits that are not committed are to be tested, too.
    files = run("git", "ls-files", "Package.swift", "swift", "bridge/c", "examples/swift", cwd=ROOT).split()
    for file in files:
        if (ROOT / file).is_file():
            (repository / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, repository / file)
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run("git", "init", "-q", cwd=repository)
    run("git", "add", "-A", cwd=repository)
    run("git", *identity, "commit", "-qm", "A release", cwd=repository)
    run("git", "tag", "0.1.0", cwd=repository)

    (app / "Sources/App").mkdir(parents=True)
    (app / "Package.swift").write_text(MANIFEST.replace("REPOSITORY", repository.as_uri()))
    (app / "Sources/App/main.swift").write_text("import Foundation\n" + MAIN)
    lines = run(SWIFT, "run", "--disable-index-store", "App", cwd=app).splitlines()
    assert lines[0].startswith("a lighthouse at dawn ")
    assert lines[1].startswith("there is no bundle at ")


def test_the_documents_name_the_version() -> None:
    (version,) = re.findall(r'TT_VERSION "(.+)"', (ROOT / "bridge/c/tintype_version.h").read_text())
    assert f'from: "{version}"' in (ROOT / "docs/embedding.md").read_text()
    assert f"\n## {version} " in (ROOT / "CHANGELOG.md").read_text()[:40]


def test_the_documents_ask_apps_for_the_packages_oldest_systems() -> None:
    """On a Mac SwiftPM refuses an app that names an older system than its dependency, or none."""

    def platforms(text: str) -> set[str]:
        (row,) = re.findall(r"^\s*platforms: \[(.+)\],", text, re.MULTILINE)
        return set(row.split(", "))

    package = platforms((ROOT / "Package.swift").read_text())
    assert platforms((ROOT / "docs/embedding.md").read_text()) == package
    assert platforms(MANIFEST) < package


@pytest.mark.skipif(SWIFT is None, reason="no Swift on this machine")
def test_core_ml_is_declared_for_linux_alone() -> None:
    portable = {"CoreML", "CoreVideo", "CoreMLTests", "CoreVideoTests", "CSHA256"}
    assert set(targets(TINTYPE_PORTABLE_COREML="1")) - set(targets(TINTYPE_PORTABLE_COREML="0")) == portable
    assert ("CoreML" in targets()) == sys.platform.startswith("linux")


@pytest.mark.skipif(SWIFT is None, reason="no Swift on this machine")
def test_no_names_differ_by_case_alone() -> None:
    """Xcode's build folders are named by products and targets, and a Mac's disk takes `tintype` for `Tintype`."""
    package = json.loads(run(SWIFT, "package", "dump-package", cwd=ROOT))
    names = {row["name"] for kind in ("products", "targets") for row in package[kind]}
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.skipif(SWIFT is None, reason="no Swift on this machine")
def test_the_architecture_tells_what_each_target_uses() -> None:
    rows = re.findall(
        r"^\| `swift/Sources/(\w+)` \|.*\| ([^|]+) \|$",
        (ROOT / "docs/architecture.md").read_text(),
        re.MULTILINE,
    )
    told = {name: set(uses.split(", ")) - {"–"} for name, uses in rows}
    declared = targets(TINTYPE_PORTABLE_COREML="1")
    assert told == {name: declared[name] for name in told}
    assert set(told) == {folder.name for folder in (ROOT / "swift/Sources").iterdir()}
