"""Loading from the Hugging Face Hub: the real client against a hub on this machine, in processes of its own.

The client reads HF_ENDPOINT and HF_HOME when it is imported, so each case is a run of the command.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from tintype.bundle import Bundle
from tintype.errors import CheckpointError
from tintype.values import bytes_text
from tintype.weights import is_repository
from tintype.weights.hub.repository import _lacking, needed_files, single_files

from .hub_server import COMMIT, HubServer, serve

NAME = "someone/tiny-flux"
DENOISER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def repository(data: Path, tmp_path: Path) -> Path:
    """flux-dev-tiny as a repository, with files that no conversion needs."""
    folder = tmp_path / "repository"
    shutil.copytree(data / "flux-dev-tiny", folder, ignore=shutil.ignore_patterns("golden", "original"))
    (folder / "flux1-dev.safetensors").write_bytes(b"x" * 1000)
    (folder / "README.md").write_text("A model.")
    shutil.copy(folder / DENOISER, folder / DENOISER.replace(".safe", ".bf16.safe"))
    return folder


@pytest.fixture
def hub(repository: Path) -> Iterator[HubServer]:
    with serve({NAME: repository}) as server:
        yield server


def environment(endpoint: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": ":".join(sys.path),
        "PATH": os.environ["PATH"],
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }


def convert(
    endpoint: str, tmp_path: Path, *arguments: str, source: str = NAME
) -> subprocess.CompletedProcess[str]:
    """Run `tintype convert SOURCE -o out` with the hub at `endpoint` and a cache of its own."""
    options = ["-o", str(tmp_path / "out"), "--size", "128x128", "--no-verify", *arguments]
    return tintype(endpoint, tmp_path, "convert", source, *options)


def tintype(endpoint: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command likewise."""
    # The client writes pieces of 10 MB; the tiny model's files are smaller.
    command = (
        "import sys; from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 1 << 16; "
        "from tintype.cli import main; main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", command, *arguments],
        env=environment(endpoint, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_only_what_is_needed_is_loaded(hub: HubServer, tmp_path: Path) -> None:
    done = convert(hub.url, tmp_path, "--components", "denoiser,vae_decoder")
    assert (done.returncode, done.stderr) == (0, "")
    bundle = Bundle.read(tmp_path / "out")
    assert bundle.name == "tiny-flux"
    assert (bundle.source["repository"], bundle.source["revision"]) == (NAME, COMMIT)
    loaded = {file for file, _ in hub.files()}
    assert {f for f in loaded if f.endswith(".safetensors")} == {
        DENOISER,
        "vae/diffusion_pytorch_model.safetensors",
    }
    assert "tokenizer_2/tokenizer.json" in loaded
    assert not loaded & {"README.md", "flux1-dev.safetensors"}


def plan(endpoint: str, tmp_path: Path, *arguments: str, source: str = NAME) -> dict[str, Any]:
    done = convert(endpoint, tmp_path, "--dry-run", "--json", "--overwrite", *arguments, source=source)
    assert (done.returncode, done.stderr) == (0, "")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def test_a_dry_run_loads_headers_alone(hub: HubServer, repository: Path, tmp_path: Path) -> None:
    chosen = ("--components", "denoiser,vae_decoder")
    found = plan(hub.url, tmp_path, *chosen)
    weights = {DENOISER, "vae/diffusion_pytorch_model.safetensors"}
    assert {(f, r) for f, r in hub.files() if f.endswith(".safetensors")} == {
        (file, "bytes=0-100000") for file in weights
    }
    assert hub.sent < 600_000
    assert found["download_bytes"] == sum((repository / file).stat().st_size for file in weights)
    assert found["disk_needed"] == found["bundle_bytes"] + found["download_bytes"]
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    assert not (tmp_path / "out").exists()
    local = plan(hub.url, tmp_path, *chosen, source=str(repository))
    assert found["packages"] == local["packages"]
    assert local["download_bytes"] == 0
    # What the cache holds is used.
    assert convert(hub.url, tmp_path, "--components", "vae_decoder").returncode == 0
    hub.asked.clear()
    found = plan(hub.url, tmp_path, *chosen)
    assert found["packages"] == local["packages"]
    assert found["download_bytes"] == (repository / DENOISER).stat().st_size
    assert hub.files() == [(DENOISER, "bytes=0-100000")]
    shown = convert(hub.url, tmp_path, "--dry-run", *chosen)
    assert f"to be downloaded first: {bytes_text(found['download_bytes'])}" in shown.stdout


def test_a_dry_run_of_a_header_that_is_long(hub: HubServer, repository: Path, tmp_path: Path) -> None:
    file = repository / DENOISER
    save_file(load_file(file), file, {"padding": "x" * 200_000})
    found = plan(hub.url, tmp_path, "--components", "denoiser")
    spans = [span for name, span in hub.files() if name == DENOISER]
    assert len(spans) == 2
    assert found["download_bytes"] == file.stat().st_size


def test_a_dry_run_of_what_cannot_be_converted(hub: HubServer, repository: Path, tmp_path: Path) -> None:
    """Errors name the repository's file, never the folder of the outline."""
    file = repository / DENOISER
    tensors = load_file(file)
    del tensors["x_embedder.bias"]
    save_file(tensors, file)
    done = convert(hub.url, tmp_path, "--dry-run")
    assert done.returncode == 1
    assert "the tensors are not those of its config.json; 1 missing: x_embedder.bias" in done.stderr
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1\n" * 3, "is no safetensors file ("),
        (file.read_bytes()[:900_000], "is truncated: its tensors end at byte"),
    ):
        file.write_bytes(content)
        done = convert(hub.url, tmp_path, "--dry-run")
        assert done.returncode == 1
        assert f"error: {NAME}/{DENOISER} on the Hugging Face Hub {message}" in done.stderr
    (repository / "vae" / "config.json").write_text("{")
    (tmp_path / "fresh").mkdir()  # another cache
    done = convert(hub.url, tmp_path / "fresh", "--dry-run", "--components", "vae_decoder")
    assert f"error: {NAME}/vae/config.json cannot be read as JSON" in done.stderr
    assert not list(tmp_path.glob("out*"))


def test_progress_counts_the_bytes_of_what_is_loaded(
    hub: HubServer, repository: Path, tmp_path: Path
) -> None:
    program = (
        "import sys, tintype; rows = []; "
        "tintype.convert(sys.argv[1], sys.argv[2], size=(128, 128), components=['vae_decoder'], "
        "progress=lambda *row: rows.append(row)); print([r for r in rows if r[0] == 'download'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, NAME, str(tmp_path / "out")],
        env=environment(hub.url, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    rows = ast.literal_eval(done.stdout)
    total = sum((repository / file).stat().st_size for file, _ in hub.files())
    assert rows[0] == ("download", 0, total)
    assert rows[-1] == ("download", total, total)
    assert 0 < rows[len(rows) // 2][1] <= total


def test_a_variant_of_some_components(hub: HubServer, tmp_path: Path) -> None:
    """The transformer alone has bf16 files."""
    arguments = ("--components", "denoiser,vae_decoder", "--variant")
    refused = convert(hub.url, tmp_path, *arguments, "fp16")
    assert (
        f"{NAME} on the Hugging Face Hub has no files of the variant 'fp16', only of bf16" in refused.stderr
    )
    assert hub.files() == []
    done = convert(hub.url, tmp_path, *arguments, "bf16")
    assert (done.returncode, done.stderr) == (0, "")
    weights = {file for file, _ in hub.files() if file.endswith(".safetensors")}
    vae = "vae/diffusion_pytorch_model.safetensors"
    assert weights == {DENOISER.replace(".safe", ".bf16.safe"), vae}
    offline = convert("http://127.0.0.1:9", tmp_path, *arguments, "bf16", "--overwrite")
    assert (offline.returncode, offline.stderr) == (0, "")
    (tmp_path / "empty").mkdir()
    assert plan(hub.url, tmp_path / "empty", *arguments, "bf16")["download_bytes"] > 0


def test_a_broken_connection_is_taken_up_and_finished_files_are_kept(hub: HubServer, tmp_path: Path) -> None:
    hub.breaks[DENOISER] = 1
    arguments = ("--components", "denoiser", "--overwrite")
    assert convert(hub.url, tmp_path, *arguments).returncode == 0
    spans = [span for file, span in hub.files() if file == DENOISER]
    assert len(spans) == 2
    assert spans[0] is None
    assert spans[1] is not None
    assert int(spans[1].removeprefix("bytes=").split("-")[0]) > 900_000
    expected = (tmp_path / "out" / "bundle.json").read_text()
    hub.asked.clear()
    assert convert(hub.url, tmp_path, *arguments).returncode == 0
    assert [file for file, _ in hub.files()] == []
    # Without a connection the cache is enough.
    offline = convert("http://127.0.0.1:9", tmp_path, *arguments)
    assert (offline.returncode, offline.stderr) == (0, "")
    assert (tmp_path / "out" / "bundle.json").read_text() == expected


def test_a_gated_model(hub: HubServer, tmp_path: Path) -> None:
    hub.gated.add(NAME)
    done = convert(hub.url, tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        f"tintype: error: {NAME} is gated: accept its licence at {hub.url}/{NAME}, then log in with "
        "`hf auth login` (or set HF_TOKEN) and run this again\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_single_file(hub: HubServer, repository: Path, data: Path, tmp_path: Path) -> None:
    """A repository like argmaxinc/mlx-FLUX.1-dev: the publisher's files, and no model_index.json."""
    (repository / "model_index.json").unlink()
    for name, file in (("flux1-dev", "flux1"), ("ae", "ae")):
        shutil.copy(data / f"flux-dev-tiny/original/{file}.safetensors", repository / f"{name}.safetensors")
    arguments = (
        "--tokenizers",
        str(data / "flux-dev-tiny"),
        "--components",
        "denoiser,vae_decoder",
        "--overwrite",
    )
    done = convert(hub.url, tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(file for file, _ in hub.files()) == ["ae.safetensors", "flux1-dev.safetensors"]
    bundle = Bundle.read(tmp_path / "out")
    assert (bundle.name, bundle.source["layout"], bundle.source["repository"]) == (
        "tiny-flux",
        "original",
        NAME,
    )
    named = f"{NAME}/flux1-dev.safetensors"
    local = plan(hub.url, tmp_path, *arguments, source=str(data / "flux-dev-tiny/original/flux1.safetensors"))
    (tmp_path / "empty").mkdir()
    outlined = plan(hub.url, tmp_path / "empty", *arguments, source=named)
    assert outlined["packages"] == local["packages"]
    assert outlined["download_bytes"] == sum(f.stat().st_size for f in repository.glob("*.safetensors"))
    for source in (named, NAME):
        assert convert("http://127.0.0.1:9", tmp_path, *arguments, source=source).returncode == 0


def test_a_single_file_offline_without_the_one_beside_it(
    hub: HubServer, repository: Path, data: Path, tmp_path: Path
) -> None:
    (repository / "model_index.json").unlink()
    shutil.copy(data / "flux-dev-tiny/original/flux1.safetensors", repository / "flux1-dev.safetensors")
    arguments = ("--tokenizers", str(data / "flux-dev-tiny"), "--overwrite", "--components")
    assert convert(hub.url, tmp_path, *arguments, "denoiser").returncode == 0
    for source in (NAME, f"{NAME}/flux1-dev.safetensors"):
        assert convert("http://127.0.0.1:9", tmp_path, *arguments, "denoiser", source=source).returncode == 0
    (tmp_path / "tokenizers").mkdir()
    arguments = ("--tokenizers", "tokenizers", "--overwrite", "--components")
    offline = convert("http://127.0.0.1:9", tmp_path, *arguments, "denoiser,vae_decoder")
    assert offline.returncode == 1
    assert "holds no vae: put the publishers' files for the weights beside it" in offline.stderr
    assert f"{NAME}, and it cannot be loaded from http://127.0.0.1:9 (" in offline.stderr
    assert "check the connection and run this again" in offline.stderr


def test_tokenizers_of_a_repository(hub: HubServer, data: Path, tmp_path: Path) -> None:
    """A single file on this machine; of the repository, what the file lacks is loaded, and nothing else."""
    file = str(data / "flux-dev-tiny/original/flux1.safetensors")
    arguments = ("--tokenizers", NAME, "--components", "text_encoder,denoiser", "--overwrite", "--resume")
    done = convert(hub.url, tmp_path, *arguments, source=file)
    assert (done.returncode, done.stderr) == (0, "")
    loaded = {file for file, _ in hub.files()}
    assert {f for f in loaded if f.endswith(".safetensors")} == {"text_encoder/model.safetensors"}
    assert "tokenizer/vocab.json" in loaded
    bundle = Bundle.read(tmp_path / "out")
    assert list(bundle.components) == ["text_encoder", "modulation", "denoiser"]
    assert "tokenizers/text_encoder/model.safetensors" in bundle.source["files"]
    offline = convert("http://127.0.0.1:9", tmp_path, *arguments, source=file)
    assert (offline.returncode, offline.stderr) == (0, "")
    verify = ["verify", str(tmp_path / "out"), "--against", file, "--tokenizers", NAME, "--json"]
    verified = tintype(hub.url, tmp_path, *verify)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert json.loads(verified.stdout)["backends"]["mlx"]["passed"]


def test_names_that_the_hub_does_not_know(hub: HubServer, repository: Path, tmp_path: Path) -> None:
    done = convert(hub.url, tmp_path, source="someone/else")
    assert done.returncode == 1
    assert (
        f"there is no folder someone/else, and no model of this name at {hub.url}/someone/else" in done.stderr
    )
    done = convert(hub.url, tmp_path, source=f"{NAME}@v9")
    assert f"{NAME} has no revision 'v9'" in done.stderr
    done = convert(hub.url, tmp_path, source=f"{NAME}/x.safetensors")
    assert f"{NAME} on the Hugging Face Hub has no x.safetensors, only flux1-dev.safetensors" in done.stderr


def test_no_connection_and_nothing_in_the_cache(tmp_path: Path) -> None:
    done = convert("http://127.0.0.1:9", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"tintype: error: there is no folder {NAME}, and it cannot be loaded from http://"
    )
    assert "check the connection" in done.stderr


def test_no_connection_and_a_part_in_the_cache(hub: HubServer, tmp_path: Path) -> None:
    assert convert(hub.url, tmp_path, "--components", "denoiser").returncode == 0
    offline = convert("http://127.0.0.1:9", tmp_path, "--overwrite")
    assert offline.returncode == 1
    assert f"there is no folder {NAME}, and it cannot be loaded from http://127.0.0.1:9 (" in offline.stderr
    assert (
        "the cache lacks text_encoder/*.safetensors, text_encoder_2/*.safetensors, vae/*.s" in offline.stderr
    )
    # The one that the denoiser needs is there as before.
    assert convert("http://127.0.0.1:9", tmp_path, "--components", "denoiser", "--overwrite").returncode == 0
    (cached,) = (tmp_path / "cache").rglob("snapshots/*/tokenizer_2")
    for file in cached.iterdir():
        file.unlink()
    offline = convert("http://127.0.0.1:9", tmp_path, "--components", "denoiser", "--overwrite")
    assert "check the connection" in offline.stderr
    assert offline.stderr.endswith("the cache lacks tokenizer_2/*.json\n")


def test_no_connection_and_some_shards_in_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "transformer"
    folder.mkdir()
    index = {"transformer": ["diffusers", "FluxTransformer2DModel"], "scheduler": [None, None]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    stem = "diffusion_pytorch_model"
    shards = {key: f"{stem}-0000{key}-of-00003.safetensors" for key in "123"}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / shards["2"]).touch()
    found = _lacking(tmp_path, lambda index: ["transformer"], None)
    assert found == [f"transformer/{shards['1']}", f"transformer/{shards['3']}"]


def test_what_reads_as_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_repository("org/name")
    assert is_repository("org/name@refs/pr/3")
    assert is_repository(Path("org/name-2.0_x"))
    assert not is_repository("name")
    assert not is_repository("./org/name")
    assert not is_repository("/org/name")
    assert is_repository("org/name/file.safetensors@main")
    assert not is_repository("a/b/c")
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert not is_repository("org/name")


def test_variants_and_shards() -> None:
    index = {"t": ["transformers", "X"], "u": ["transformers", "X"], "n": [None, None]}
    files = [
        "model_index.json", "t/config.json", "t/model.safetensors", "t/model.fp16.safetensors", "n/config.json",
        "u/model.safetensors.index.json", "u/model.safetensors.index.fp16.json", "u/model-00001-of-00001.safetensors",
        "u/model.fp16-00001-of-00001.safetensors", "u/pytorch_model.bin", "other/config.json",
    ]  # fmt: skip
    assert needed_files(files, index, ("t", "u"), None) == [
        "model_index.json", "t/config.json", "t/model.safetensors",
        "u/model.safetensors.index.json", "u/model-00001-of-00001.safetensors",
    ]  # fmt: skip
    assert needed_files(files, index, ("t", "u"), "fp16") == [
        "model_index.json", "t/config.json", "t/model.fp16.safetensors",
        "u/model.safetensors.index.fp16.json", "u/model.fp16-00001-of-00001.safetensors",
    ]  # fmt: skip
    assert needed_files(files, index, (), None) == ["model_index.json", "t/config.json"]


def test_a_repository_of_other_kinds_of_files() -> None:
    with pytest.raises(
        CheckpointError, match=r"no safetensors files, only a\.gguf, b\.gguf, which Tintype does not"
    ):
        single_files("someone/flux-gguf", ["README.md", "b.gguf", "a.gguf"], None)
    with pytest.raises(
        CheckpointError, match=r"has no model_index\.json, only a\.safetensors, b\.safetensors: name"
    ):
        single_files("someone/two", ["b.safetensors", "a.safetensors", "ae.safetensors"], None)
    files = ["ae.safetensors", "config.json", "flux-schnell-4bit-quantized.safetensors"]
    assert single_files("argmaxinc/x", files, None) == [files[2], files[0]]
