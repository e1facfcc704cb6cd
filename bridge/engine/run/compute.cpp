#include "run/compute.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/evaluate.h"
#include "mlx/mlx.h"
#include "run/available_memory.h"
#include "run/own_graph.h"
#include "support/error.h"

namespace tintype {

namespace {

namespace mx = mlx::core;
using mx::array;

bool has_limits() {
  return memory_to_allocate() != std::numeric_limits<uint64_t>::max();
}

bool is_given(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, bytes);
  return true;
}

void require(uint64_t bytes) {
  constexpr uint64_t kBeside = uint64_t{4} << 20;  // for what allocates beside MLX
  if (is_given(bytes + kBeside)) return;
  refuse(TT_ERROR_OUT_OF_MEMORY,
         {"", "the system refuses the memory for what is computed", std::to_string(bytes >> 20) + " MiB",
          "at most " + std::to_string(memory_to_allocate() >> 20) + " MiB",
          "Raise the process' limit (ulimit -v, ulimit -d), or use a smaller model or input."});
}

// The result, and a copy of each input that is not dense: MLX makes one for some primitives.
uint64_t bytes_for(const array& x) {
  uint64_t bytes = x.nbytes();
  for (const array& input : x.inputs()) {
    if (input.is_available() && !input.flags().row_contiguous) bytes += input.nbytes();
  }
  return bytes;
}

void evaluate(std::vector<array> outputs) {
  if (!kernels::evaluate(std::move(outputs))) refuse(TT_ERROR_CANCELLED, {"", "the predict was cancelled"});
}

}  // namespace

void compute(std::vector<array> outputs) {
  if (mx::default_device() != mx::Device::cpu || !has_limits()) return evaluate(std::move(outputs));
  std::vector<array> order = own_graph(outputs, {}).order;
  uint64_t bytes = 0;
  for (const array& x : order) bytes += x.nbytes();
  if (is_given(bytes + bytes / 2)) return evaluate(std::move(outputs));
  std::reverse(order.begin(), order.end());
  while (!order.empty()) {
    array x = std::move(order.back());
    order.pop_back();
    require(bytes_for(x));
    evaluate({std::move(x)});
  }
  evaluate(std::move(outputs));  // views
}

}  // namespace tintype
