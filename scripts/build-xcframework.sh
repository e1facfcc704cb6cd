#!/usr/bin/env bash
# Builds the engine as TintypeEngine.xcframework on a Mac, for apps that embed the `TintypeMLX` product.
#
#   scripts/build-xcframework.sh [--output FOLDER] [--ios MLX] [--simulator MLX]
#
# The macOS slice uses the mlx wheel of the pinned version, whose libmlx and Metal library go into the framework.
# No wheel exists for iOS: --ios and --simulator name the install prefixes of MLX built for these (the same version,
# as a static library with its mlx.metallib); without them the framework has the macOS slice alone.
#
# Embed it in Xcode with "Embed & Sign", or as a binary target of a package. The engine is opened at run time:
# TintypeMLX looks into the app's Frameworks folder.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
output="$root/build/xcframework"
ios=""
simulator=""

fail() {
  echo "build-xcframework: $1" >&2
  exit 1
}

while [[ $# -gt 0 ]]; do
  case "$1" in
    --output) output="${2:?--output needs a folder}" && shift 2 ;;
    --ios) ios="${2:?--ios needs the prefix of an installed MLX}" && shift 2 ;;
    --simulator) simulator="${2:?--simulator needs the prefix of an installed MLX}" && shift 2 ;;
    -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0" && exit 0 ;;
    *) fail "unknown argument '$1'; see --help" ;;
  esac
done

[[ "$(uname -s)" == Darwin ]] || fail "an XCFramework can be made on a Mac only"
for tool in cmake xcodebuild xcrun python3; do
  command -v "$tool" >/dev/null || fail "'$tool' is missing; install Xcode, CMake and Python 3"
done

name=TintypeEngine
version="$(sed -n 's/^#define TT_VERSION "\(.*\)"/\1/p' "$root/bridge/c/tintype_version.h")"
work="$output/work"
rm -rf "$work" "$output/$name.xcframework"
mkdir -p "$work"

# The MLX that the Python package is built with: the pin stands in pyproject.toml alone.
install_mlx() {
  local pin
  pin="$(sed -n "s/^ *\"\(mlx==[0-9.]*\); sys_platform == 'darwin'\".*/\1/p" "$root/pyproject.toml" | head -1)"
  [[ -n "$pin" ]] || fail "pyproject.toml pins no mlx for macOS"
  python3 -m venv "$work/venv"
  "$work/venv/bin/python" -m pip install --quiet "$pin"
  "$work/venv/bin/python" -c 'import importlib.util as u; print(list(u.find_spec("mlx").submodule_search_locations)[0])'
}

# slice NAME PREFIX CMAKE_OPTION…: builds the engine against the MLX in PREFIX into a framework; prints its path.
slice() {
  local slice="$1" prefix="$2"
  shift 2
  local build="$work/$slice" framework="$work/$slice/$name.framework"
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
    cp "$metal" "$content/"
  fi
  strip -x "$content/$name"
  codesign --force --sign - "$framework" >&2
  echo "$framework"
}

plist() {
  local platform=MacOSX minimum=13.0 key=LSMinimumSystemVersion
  case "$1" in
    ios) platform=iPhoneOS minimum=16.0 key=MinimumOSVersion ;;
    simulator) platform=iPhoneSimulator minimum=16.0 key=MinimumOSVersion ;;
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
  <key>$key</key><string>$minimum</string>
</dict>
</plist>
PLIST
}

arguments=()
# The command substitution hides failures from `set -e` unless each result is its own assignment.
wheel="$(install_mlx)"
framework="$(slice macos "$wheel" -DCMAKE_OSX_ARCHITECTURES=arm64 -DCMAKE_OSX_DEPLOYMENT_TARGET=13.3)"
arguments+=(-framework "$framework")
if [[ -n "$ios" ]]; then
  framework="$(slice ios "$ios" -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT=iphoneos \
    -DCMAKE_OSX_ARCHITECTURES=arm64 -DCMAKE_OSX_DEPLOYMENT_TARGET=16.0)"
  arguments+=(-framework "$framework")
fi
if [[ -n "$simulator" ]]; then
  framework="$(slice simulator "$simulator" -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT=iphonesimulator \
    -DCMAKE_OSX_ARCHITECTURES=arm64 -DCMAKE_OSX_DEPLOYMENT_TARGET=16.0)"
  arguments+=(-framework "$framework")
fi
xcodebuild -create-xcframework "${arguments[@]}" -output "$output/$name.xcframework"
rm -rf "$work"
du -sh "$output/$name.xcframework"
