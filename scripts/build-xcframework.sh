#!/usr/bin/env bash
# Builds the engine as TintypeEngine.xcframework on a Mac, for apps that embed the `TintypeMLX` product.
#
#   scripts/build-xcframework.sh [--platforms macos,ios,simulator] [--output FOLDER]
#                                [--mlx PLATFORM=PREFIX]… [--from-source] [--dry-run]
#
# --platforms    The slices; default: macos.
# --mlx          An MLX that is installed in PREFIX for this platform (the pinned version); once for each.
# --from-source  Build MLX for macOS, too, instead of taking it from the wheel of the pinned version.
# --dry-run      Print the commands, on any system, and run none.
#
# No wheel exists for iOS: there MLX is built from source by build-mlx.sh, where --mlx names none.
# Embed it in Xcode with "Embed & Sign", or as a binary target of a package. The engine is opened at run time:
# TintypeMLX looks into the app's Frameworks folder.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
output="$root/build/xcframework"
platforms=macos
macos_mlx="" ios_mlx="" simulator_mlx=""
from_source=false
dry_run=false

fail() {
  echo "build-xcframework: $1" >&2
  exit 1
}

# Runs a command, or prints it as it would be typed.
run() {
  if "$dry_run"; then printf '%q ' "$@" && echo; else "$@"; fi
}

while [[ $# -gt 0 ]]; do
  case "$1" in
    --output) output="${2:?--output needs a folder}" && shift 2 ;;
    --platforms) platforms="${2:?--platforms needs a list such as macos,ios}" && shift 2 ;;
    --mlx)
      case "${2:?--mlx needs PLATFORM=PREFIX}" in
        macos=?*) macos_mlx="${2#*=}" ;;
        ios=?*) ios_mlx="${2#*=}" ;;
        simulator=?*) simulator_mlx="${2#*=}" ;;
        *) fail "--mlx is '$2', expected macos=PREFIX, ios=PREFIX or simulator=PREFIX" ;;
      esac
      shift 2
      ;;
    --from-source) from_source=true && shift ;;
    --dry-run) dry_run=true && shift ;;
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) fail "unknown argument '$1'; see --help" ;;
  esac
done

IFS=, read -r -a slices <<<"$platforms"
for platform in "${slices[@]}"; do
  [[ "$platform" =~ ^(macos|ios|simulator)$ ]] ||
    fail "--platforms names '$platform', expected some of macos, ios, simulator"
done
if ! "$dry_run"; then
  [[ "$(uname -s)" == Darwin ]] || fail "an XCFramework can be made on a Mac only; --dry-run shows how"
  for tool in cmake xcodebuild xcrun python3; do
    command -v "$tool" >/dev/null || fail "'$tool' is missing; install Xcode, CMake and Python 3"
  done
fi

name=TintypeEngine
version="$(sed -n 's/^#define TT_VERSION "\(.*\)"/\1/p' "$root/bridge/c/tintype_version.h")"
work="$output/work"
run rm -rf "$work" "$output/$name.xcframework"
run mkdir -p "$work"

# The C++ half of the MLX that the Python package is built with, for the oldest macOS and not for the one that builds;
# the pin stands in pyproject.toml alone.
wheel() {
  local version
  version="$(sed -n "s/^ *\"mlx==\([0-9.]*\); sys_platform == 'darwin'\".*/\1/p" "$root/pyproject.toml" | head -1)"
  [[ -n "$version" ]] || fail "pyproject.toml pins no mlx for macOS"
  run python3 -m pip install --quiet --target "$work/wheel" --no-deps --only-binary=:all: \
    --platform "macosx_$(minimum macos | tr . _)_arm64" "mlx-metal==$version" >&2
  echo "$work/wheel/mlx"
}

# mlx PLATFORM: where MLX for it is installed, after it was built where nobody named one; prints the path.
mlx() {
  local given prefix="$work/mlx-$1"
  case "$1" in
    macos) given="$macos_mlx" ;;
    ios) given="$ios_mlx" ;;
    *) given="$simulator_mlx" ;;
  esac
  if [[ -n "$given" ]]; then
    echo "$given"
    return
  fi
  if [[ "$1" == macos ]] && ! "$from_source"; then
    wheel
    return
  fi
  local arguments=("$1" "$prefix" --source "$work/mlx-source")
  if "$dry_run"; then arguments+=(--dry-run); fi
  "$root/scripts/build-mlx.sh" "${arguments[@]}" >&2
  echo "$prefix"
}

# slice NAME PREFIX CMAKE_OPTION…: builds the engine against the MLX in PREFIX into a framework; prints its path.
slice() {
  local slice="$1" prefix="$2"
  shift 2
  local build="$work/$slice" framework="$work/$slice/$name.framework"
  if "$dry_run"; then
    run cmake -S "$root/scripts/engine" -B "$build" -DMLX_DIR="$prefix/share/cmake/MLX" "$@" >&2
    run cmake --build "$build" --target tintype_engine --parallel >&2
    echo "# the library, its headers, Info.plist and MLX's Metal library into $framework, signed ad hoc" >&2
    echo "$framework"
    return
  fi
  local config
  config="$(find "$prefix" -name MLXConfig.cmake -print -quit)"
  [[ -n "$config" ]] || fail "$prefix holds no MLXConfig.cmake; is it the prefix of an installed MLX?"
  cmake -S "$root/scripts/engine" -B "$build" -DMLX_DIR="$(dirname "$config")" "$@" >&2
  cmake --build "$build" --target tintype_engine --parallel >&2
  local library
  library="$(find "$build" -name libtintype_engine.dylib -print -quit)"

  # A versioned bundle on macOS, a flat one on iOS.
  local content="$framework" resources="$framework" inner="$name"
  if [[ "$slice" == macos ]]; then
    content="$framework/Versions/A"
    resources="$content/Resources"
    inner="Versions/A/$name"
    mkdir -p "$resources"
    ln -s A "$framework/Versions/Current"
    ln -s "Versions/Current/$name" "$framework/$name"
    ln -s Versions/Current/Headers "$framework/Headers"
    ln -s Versions/Current/Modules "$framework/Modules"
    ln -s Versions/Current/Resources "$framework/Resources"
  fi
  mkdir -p "$content/Headers" "$content/Modules"
  cp "$library" "$content/$name"
  cp "$root"/bridge/c/*.h "$content/Headers/"
  printf 'framework module %s {\n  header "tintype.h"\n  export *\n}\n' "$name" >"$content/Modules/module.modulemap"
  plist "$slice" >"$resources/Info.plist"

  install_name_tool -id "@rpath/$name.framework/$inner" "$content/$name"
  # A shared libmlx travels along; MLX looks for its Metal library beside itself.
  local mlx metal
  mlx="$(find "$prefix" -name libmlx.dylib -print -quit)"
  metal="$(find "$prefix" -name mlx.metallib -print -quit)"
  if [[ -n "$mlx" ]]; then
    mkdir -p "$content/Libraries"
    cp "$mlx" "$content/Libraries/"
    [[ -z "$metal" ]] || cp "$metal" "$content/Libraries/"
    install_name_tool -add_rpath "@loader_path/Libraries" "$content/$name"
    strip -x "$content/Libraries/libmlx.dylib"
    codesign --force --sign - "$content/Libraries/libmlx.dylib"
  elif [[ -n "$metal" ]]; then
    # Signing takes any other file directly in Versions/A for code. MLX looks into Resources beside itself, too.
    cp "$metal" "$resources/"
  fi
  strip -x "$content/$name"
  codesign --force --sign - "$framework" >&2
  codesign --verify --strict "$framework" >&2
  echo "$framework"
}

# minimum PLATFORM: the oldest system that the slice is built for, which is MLX's.
minimum() {
  if [[ "$1" == macos ]]; then echo 14.0; else echo 17.0; fi
}

plist() {
  local platform=MacOSX key=LSMinimumSystemVersion
  case "$1" in
    ios) platform=iPhoneOS key=MinimumOSVersion ;;
    simulator) platform=iPhoneSimulator key=MinimumOSVersion ;;
  esac
  cat <<PLIST
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>CFBundleExecutable</key><string>$name</string>
  <key>CFBundleIdentifier</key><string>org.tintype.engine</string>
  <key>CFBundleName</key><string>$name</string>
  <key>CFBundlePackageType</key><string>FMWK</string>
  <key>CFBundleShortVersionString</key><string>$version</string>
  <key>CFBundleVersion</key><string>$version</string>
  <key>CFBundleSupportedPlatforms</key><array><string>$platform</string></array>
  <key>$key</key><string>$(minimum "$1")</string>
</dict>
</plist>
PLIST
}

# cmake_options PLATFORM: what builds the engine for it.
cmake_options() {
  case "$1" in
    ios) echo -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT=iphoneos ;;
    simulator) echo -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT=iphonesimulator ;;
  esac
  # Without the folder of the MLX that it was built with as a run path: apps' machines may have anything there.
  echo -DCMAKE_OSX_ARCHITECTURES=arm64 "-DCMAKE_OSX_DEPLOYMENT_TARGET=$(minimum "$1")" -DCMAKE_SKIP_BUILD_RPATH=ON
}

arguments=()
for platform in "${slices[@]}"; do
  # A command substitution hides failures from `set -e`, unless its result is its own assignment and it says
  # `set -e` itself.
  prefix="$(set -e; mlx "$platform")"
  read -r -d '' -a options < <(cmake_options "$platform") || true
  framework="$(set -e; slice "$platform" "$prefix" "${options[@]}")"
  arguments+=(-framework "$framework")
done
run xcodebuild -create-xcframework "${arguments[@]}" -output "$output/$name.xcframework"
run rm -rf "$work"
"$dry_run" || du -sh "$output/$name.xcframework"
