// Runs the fuzz target without libFuzzer: over every file of the folder that is its argument, cut short at
// every length and with bytes overwritten in a fixed order. ctest runs it, so the corpus holds on every
// compiler.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 2000;

using Bytes = std::vector<uint8_t>;

long run(const Bytes& bytes) {
  // A copy of the exact size, so that a sanitizer sees one byte too many.
  Bytes exact(bytes.begin(), bytes.end());
  exact.shrink_to_fit();
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  return 1;
}

long replay(const Bytes& bytes) {
  long runs = run(bytes);
  for (size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / kMutations) {
    runs += run(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  std::mt19937 random(1);
  for (int i = 0; i < kMutations && bytes.size() > 1; ++i) {
    Bytes changed = bytes;
    for (unsigned k = 0; k <= random() % 4; ++k) {
      changed[1 + random() % (changed.size() - 1)] = static_cast<uint8_t>(random());
    }
    runs += run(changed);
  }
  return runs;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::puts("usage: replay CORPUS");
    return 2;
  }
  long runs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(arguments[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    runs += replay(Bytes(std::istreambuf_iterator<char>(file), {}));
  }
  std::printf("%ld executions\n", runs);
  return runs > 0 ? 0 : 1;
}
