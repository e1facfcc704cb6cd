#!/usr/bin/env bash
# Builds MLX for an Apple platform from the source of the version that pyproject.toml pins: a static library with its
# headers, its CMake package and its Metal library.
#
#   scripts/build-mlx.sh macos|ios|simulator PREFIX [--source FOLDER] [--dry-run]
#
# --source   MLX's repository; it is cloned there if it does not exist. Without it: PREFIX-source.
# --dry-run  Prints the commands, on any system, and runs none.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
repository=https://github.com/ml-explore/mlx.git
platform=""
prefix=""
source=""
dry_run=false

fail() {
  echo "build-mlx: $1" >&2
  exit 1
}

# Runs a command, or prints it as it would be typed.
run() {
  if "$dry_run"; then printf '%q ' "$@" && echo; else "$@" >&2; fi
}

while [[ $# -gt 0 ]]; do
  case "$1" in
    --source) source="${2:?--source needs a folder}" && shift 2 ;;
    --dry-run) dry_run=true && shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 0 ;;
    -*) fail "unknown option '$1'; see --help" ;;
    *)
      if [[ -z "$platform" ]]; then
        platform="$1"
      elif [[ -z "$prefix" ]]; then
        prefix="$1"
      else
        fail "'$1' is one argument too many; see --help"
      fi
      shift
      ;;
  esac
done

# MLX's own oldest systems (its Swift package names iOS 17); `-m…-version-min` is how Metal's compiler is told.
case "$platform" in
  macos) sdk=macosx minimum=14.0 metal_minimum=-mmacosx-version-min ;;
  ios) sdk=iphoneos minimum=17.0 metal_minimum=-mios-version-min ;;
  simulator) sdk=iphonesimulator minimum=17.0 metal_minimum=-mios-simulator-version-min ;;
  "") fail "name a platform: macos, ios or simulator; see --help" ;;
  *) fail "there is no platform '$platform'; expected macos, ios or simulator" ;;
esac
[[ -n "$prefix" ]] || fail "name the folder to install to; see --help"
source="${source:-$prefix-source}"
build="$prefix-build"

version="$(sed -n "s/^ *\"mlx==\([0-9.]*\); sys_platform == 'darwin'\".*/\1/p" "$root/pyproject.toml" | head -1)"
[[ -n "$version" ]] || fail "pyproject.toml pins no mlx for macOS"

if ! "$dry_run"; then
  [[ "$(uname -s)" == Darwin ]] || fail "MLX for Apple's systems can be built on a Mac only; --dry-run shows how"
  for tool in git cmake xcrun; do
    command -v "$tool" >/dev/null || fail "'$tool' is missing; install Xcode with its command line tools, and CMake"
  done
  xcrun -sdk "$sdk" --show-sdk-path >/dev/null 2>&1 ||
    fail "Xcode has no SDK '$sdk'; install the platform in Xcode, Settings, Components"
  xcrun -sdk "$sdk" -find metal >/dev/null 2>&1 ||
    fail "Metal's compiler is missing; run 'xcodebuild -downloadComponent MetalToolchain'"
fi

if [[ ! -d "$source" ]]; then
  run git -c advice.detachedHead=false clone --depth 1 --branch "v$version" "$repository" "$source"
elif ! "$dry_run"; then
  tag="$(git -C "$source" describe --tags --exact-match 2>/dev/null || true)"
  [[ "$tag" == "v$version" ]] || fail "$source holds MLX '${tag:-of no tag}', expected v$version; remove it to clone anew"
fi

options=(
  -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DBUILD_SHARED_LIBS=OFF
  -DCMAKE_OSX_SYSROOT="$sdk" -DCMAKE_OSX_ARCHITECTURES=arm64 -DCMAKE_OSX_DEPLOYMENT_TARGET="$minimum"
  -DMLX_BUILD_METAL=ON -DMLX_BUILD_TESTS=OFF -DMLX_BUILD_EXAMPLES=OFF -DMLX_BUILD_BENCHMARKS=OFF
  -DMLX_BUILD_PYTHON_BINDINGS=OFF -DMLX_BUILD_SAFETENSORS=OFF -DMLX_BUILD_GGUF=OFF
)
# A Mac that builds for itself does not cross-compile.
[[ "$platform" == macos ]] || options+=(-DCMAKE_SYSTEM_NAME=iOS)
# See metal/xcrun.
metal=("PATH=$root/scripts/metal:$PATH" "METAL_SDK=$sdk" "METAL_MINIMUM=$metal_minimum=$minimum")
run env "${metal[@]}" cmake -S "$source" -B "$build" "${options[@]}"
run env "${metal[@]}" cmake --build "$build" --parallel
run cmake --install "$build"
"$dry_run" || {
  [[ -n "$(find "$prefix" -name mlx.metallib -print -quit)" ]] ||
    fail "MLX was built without its Metal library; look at the messages above"
}
