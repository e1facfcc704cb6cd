#pragma once

// What the engine's primitives share. Internal to kernels/.
#include <exception>
#include <utility>

#include "kernels/gemm.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/mlx.h"
#include "mlx/primitives.h"

namespace tintype::kernels {

namespace mx = mlx::core;
using mx::array;

inline mx::Stream cpu_stream() {
  return mx::default_stream(mx::Device::cpu);
}

/** True inside `evaluate` where it computes on its own thread. */
bool computes_here();

/** For `evaluate` to rethrow: an exception of work on MLX's thread would end the process. */
void keep_error(std::exception_ptr error);

/** Hands `work` to the stream, or does it; what it captures are addresses that stay alive meanwhile. */
template <typename Work>
void dispatch(const mx::Stream& stream, Work&& work) {
  if (computes_here()) return work();
  mx::cpu::get_command_encoder(stream).dispatch([work = std::forward<Work>(work)]() mutable {
    try {
      work();
    } catch (...) {  // memory that was not there
      keep_error(std::current_exception());
    }
  });
}

/** Base of primitives that exist on the CPU only. */
class CpuPrimitive : public mx::UnaryPrimitive {
 public:
  explicit CpuPrimitive(mx::Stream stream) : UnaryPrimitive(stream) {}
  void eval_gpu(const std::vector<array>&, array&) override {
    throw std::runtime_error("this primitive runs on the CPU only");
  }
};

/** Memory for the output; its address. */
void* allocate(array& out);

inline bool is_half(const array& x) {
  return x.dtype() == mx::float16;
}

/** Address of element `place` of float32 or float16 data. */
inline const void* element(const void* data, int64_t place, bool half) {
  return static_cast<const char*>(data) + place * (half ? 2 : 4);
}
inline void* element(void* data, int64_t place, bool half) {
  return static_cast<char*>(data) + place * (half ? 2 : 4);
}

/** `count` elements as float32: the address itself, or `buffer` filled with them. */
const float* read(const MicroKernel& kernel, const void* data, int64_t place, int64_t count, bool half,
                  float* buffer);
/** Where to compute `count` results: the address itself, or `buffer`; `write` then rounds them. */
inline float* target(void* data, int64_t place, bool half, float* buffer) {
  return half ? buffer : static_cast<float*>(data) + place;
}
void write(const MicroKernel& kernel, const float* from, void* data, int64_t place, int64_t count, bool half);

}  // namespace tintype::kernels
