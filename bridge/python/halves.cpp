/** float16 by the processor's own conversions, on x86: NumPy's builds for it convert one number at a time. */
#include "bridge.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "../engine/kernels/has_f16c.h"

namespace py = pybind11;

namespace tintype {
namespace {

/** Numbers that a register holds. */
constexpr size_t LANES = 8;

constexpr const char* FINITE =
    "Returns whether all results are finite; else they are not to be used, and NumPy's conversion is to say "
    "why.";

__attribute__((target("avx2,f16c"))) inline bool store(__m256 numbers, uint16_t* to) {
  const __m128i halves = _mm256_cvtps_ph(numbers, _MM_FROUND_TO_NEAREST_INT);
  const __m128i exponent = _mm_set1_epi16(0x7c00);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), halves);
  return _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_and_si128(halves, exponent), exponent)) == 0;
}

__attribute__((target("avx2,f16c"))) bool half_to_float(const uint16_t* from, float* to) {
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m128i exponent = _mm_set1_epi16(0x7c00);
  _mm256_storeu_ps(to, _mm256_cvtph_ps(halves));
  return _mm_movemask_epi8(_mm_cmpeq_epi16(_mm_and_si128(halves, exponent), exponent)) == 0;
}

__attribute__((target("avx2,f16c"))) bool float_to_half(const float* from, uint16_t* to) {
  return store(_mm256_loadu_ps(from), to);
}

__attribute__((target("avx2,f16c"))) bool bfloat_to_half(const uint16_t* from, uint16_t* to) {
  const __m256i bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  return store(_mm256_castsi256_ps(_mm256_slli_epi32(bits, 16)), to);
}

/** `convert` for register after register; the last numbers go through one that zeros fill up. */
template <auto convert, typename From, typename To>
__attribute__((target("avx2,f16c"))) bool all(const From* from, To* to, size_t count) {
  bool finite = true;
  size_t done = 0;
  for (; done + LANES <= count; done += LANES) finite &= convert(from + done, to + done);
  From last[LANES] = {};
  To converted[LANES];
  std::memcpy(last, from + done, (count - done) * sizeof(From));
  finite &= convert(last, converted);
  std::memcpy(to + done, converted, (count - done) * sizeof(To));
  return finite;
}

template <typename T>
py::buffer_info memory(const py::buffer& array, bool writable) {
  py::buffer_info info = array.request(writable);
  const bool flat = info.ndim == 1 && (info.size < 2 || info.strides[0] == info.itemsize);
  if (!flat || info.itemsize != static_cast<py::ssize_t>(sizeof(T))) {
    throw std::invalid_argument("expected a flat array of " + std::to_string(sizeof(T)) +
                                " bytes an element");
  }
  return info;
}

template <auto convert, typename From, typename To>
void add(py::module_& m, const char* name) {
  m.def(
      name,
      [](const py::buffer& from, const py::buffer& to) {
        const py::buffer_info source = memory<From>(from, false), result = memory<To>(to, true);
        if (source.size != result.size) throw std::invalid_argument("the arrays have different lengths");
        py::gil_scoped_release others;
        return all<convert, From, To>(static_cast<const From*>(source.ptr), static_cast<To*>(result.ptr),
                                      source.size);
      },
      py::arg("values"), py::arg("out"), FINITE);
}

}  // namespace

void init_halves(py::module_& m) {
  if (!kernels::has_f16c() || !__builtin_cpu_supports("avx2")) return;
  add<half_to_float, uint16_t, float>(m, "half_to_float");
  add<float_to_half, float, uint16_t>(m, "float_to_half");
  add<bfloat_to_half, uint16_t, uint16_t>(m, "bfloat_to_half");
}

}  // namespace tintype

#else

namespace tintype {

void init_halves(pybind11::module_&) {}

}  // namespace tintype

#endif
