// Runs a fuzz target without libFuzzer: over every file of the folder that is its first argument, cut short,
// with bytes overwritten, and changed by the target's own mutator, all in a fixed order; as often a file as
// the second argument says. ctest runs it, so the corpus holds on every compiler.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed);

namespace {

int mutations = 1000;
constexpr size_t kLongest = 8192;

using Bytes = std::vector<uint8_t>;

std::mt19937& random_bits() {
  static std::mt19937 random(1);
  return random;
}

long run(const Bytes& bytes) {
  // A copy of the exact size, so that a sanitizer sees one byte too many.
  Bytes exact(bytes.begin(), bytes.end());
  exact.shrink_to_fit();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  return 1;
}

long replay_prefixes(const Bytes& bytes) {
  long runs = run(bytes);
  for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / static_cast<size_t>(mutations)) {
    runs += run(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  return runs;
}

long replay_mutations(const Bytes& bytes) {
  long runs = 0;
  for (int i = 0; i < mutations && bytes.size() > 1; ++i) {
    Bytes changed = bytes;
    for (unsigned k = 0; k <= random_bits()() % 4; ++k) {
      changed[1 + random_bits()() % (changed.size() - 1)] = static_cast<uint8_t>(random_bits()());
    }
    runs += run(changed);
    changed = bytes;
    changed.resize(kLongest);
    size_t size = bytes.size();
    for (unsigned k = 0; k <= random_bits()() % 3; ++k) {
      size = LLVMFuzzerCustomMutator(changed.data(), size, kLongest, random_bits()());
    }
    changed.resize(size);
    runs += run(changed);
  }
  return runs;
}

}  // namespace

/** libFuzzer's own mutator in small: bytes change, come or go. */
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most) {
  auto& random = random_bits();
  if (size == 0 || (random() % 4 == 0 && size < most)) {
    if (most == 0) return 0;
    data[size] = static_cast<uint8_t>(random());
    return size + 1;
  }
  size_t at = random() % size;
  if (random() % 4 == 0 && size > 1) {
    std::move(data + at + 1, data + size, data + at);
    return size - 1;
  }
  data[at] = static_cast<uint8_t>(random());
  return size;
}

int main(int count, char** arguments) {
  if (count == 3) mutations = std::atoi(arguments[2]);
  if (count < 2 || count > 3 || mutations < 1) {
    std::puts("usage: replay CORPUS [MUTATIONS]");
    return 2;
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  long runs = 0;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    Bytes bytes(std::istreambuf_iterator<char>(file), {});
    if (bytes.size() > kLongest) continue;
    runs += replay_prefixes(bytes) + replay_mutations(bytes);
  }
  std::printf("%ld executions\n", runs);
  return runs > 0 ? 0 : 1;
}
