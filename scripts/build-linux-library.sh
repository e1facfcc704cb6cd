#!/usr/bin/env bash
# Builds libTintypeRuntime.so for Linux machines without Swift: Swift's runtime linked in, FoundationEssentials
# instead of Foundation (no ICU), symbols stripped. This is the library of the Python wheel: `bridge/c/tintype.h` says
# how C, C++ and others call it. Models run on libtintype_engine.so, which it opens at run time.
#
#   scripts/build-linux-library.sh [FOLDER]
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
output="${1:-$root/build/linux}"

[[ "$(uname -s)" == Linux ]] || {
  echo "build-linux-library: this recipe is Linux's; on a Mac use scripts/build-xcframework.sh" >&2
  exit 1
}

# `--static-swift-stdlib` does not reach dynamic products, so the compiler is told itself.
swift build --package-path "$root" --scratch-path "$output/work" -c release --product TintypeRuntime \
  -Xswiftc -static-stdlib -Xswiftc -DTINTYPE_ESSENTIALS_ONLY -Xlinker -s
install -D "$output/work/release/libTintypeRuntime.so" "$output/lib/libTintypeRuntime.so"
install -D -m 644 -t "$output/include" "$root"/bridge/c/*.h

if ldd "$output/lib/libTintypeRuntime.so" | grep -i swift; then
  echo "build-linux-library: the library needs Swift's shared libraries" >&2
  exit 1
fi
du -h "$output/lib/libTintypeRuntime.so"
