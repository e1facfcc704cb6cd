#include "run/available_memory.h"

#ifdef __linux__
#include <sys/resource.h>
#endif

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "mlx/mlx.h"

namespace tintype {

namespace {

#ifdef __linux__

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// The number of a file that holds one; "max" and absence are no limit.
std::optional<uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// The number behind `key` in a file of lines "key number".
std::optional<uint64_t> number_at(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  for (uint64_t value = 0; file >> word;) {
    if (word == key && file >> value) return value;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// What a group's limit leaves; cached files count as used but give way.
uint64_t left_in(const std::string& limit_file, const std::string& usage_file, const std::string& stat_file) {
  auto limit = number_in(limit_file), used = number_in(usage_file);
  if (!limit || !used) return kNoLimit;
  uint64_t cached = number_at(stat_file, "inactive_file").value_or(0);
  uint64_t taken = *used - std::min(*used, cached);
  return *limit > taken ? *limit - taken : 0;
}

// The process' group and all above it, version 2; the root's files for version 1, as containers see them.
uint64_t left_in_control_groups() {
  const std::string root = "/sys/fs/cgroup";
  uint64_t left = left_in(root + "/memory/memory.limit_in_bytes", root + "/memory/memory.usage_in_bytes",
                          root + "/memory/memory.stat");
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) != 0) continue;
    std::string path = line.substr(3);
    while (true) {
      std::string folder = root + (path == "/" ? "" : path);
      left = std::min(left,
                      left_in(folder + "/memory.max", folder + "/memory.current", folder + "/memory.stat"));
      size_t slash = path.rfind('/');
      if (path.empty() || path == "/" || slash == std::string::npos) break;
      path = slash == 0 ? "/" : path.substr(0, slash);
    }
  }
  return left;
}

// What a limit of the process leaves (`ulimit -v`, `ulimit -d`), counted as the kernel counts it.
uint64_t left_of(decltype(RLIMIT_AS) resource, const std::string& used) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  uint64_t taken = number_at("/proc/self/status", used).value_or(0) * 1024;
  return limit.rlim_cur > taken ? limit.rlim_cur - taken : 0;
}

// What may still be promised on a system that promises no more than it has.
uint64_t left_of_promises() {
  static const bool is_strict = number_in("/proc/sys/vm/overcommit_memory") == 2;
  if (!is_strict) return kNoLimit;
  auto limit = number_at("/proc/meminfo", "CommitLimit:"),
       promised = number_at("/proc/meminfo", "Committed_AS:");
  if (!limit || !promised) return kNoLimit;
  return *limit > *promised ? (*limit - *promised) * 1024 : 0;
}

#endif

}  // namespace

uint64_t memory_to_allocate() {
#ifdef __linux__
  return std::min({left_of(RLIMIT_AS, "VmSize:"), left_of(RLIMIT_DATA, "VmData:"), left_of_promises()});
#else
  return std::numeric_limits<uint64_t>::max();
#endif
}

uint64_t available_memory() {
#ifdef __linux__
  if (auto kilobytes = number_at("/proc/meminfo", "MemAvailable:")) {
    return std::min({*kilobytes * 1024, left_in_control_groups(), memory_to_allocate()});
  }
#endif
  return mlx::core::get_memory_limit();
}

bool fits_in_memory(uint64_t bytes) {
  constexpr uint64_t kUnquestioned = uint64_t{64} << 20;
  return bytes <= kUnquestioned || bytes <= available_memory();
}

}  // namespace tintype
