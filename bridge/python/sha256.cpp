/** SHA-256 of two streams at once on x86: an instruction for it waits for the one before it, and in between
 * there is time for another stream's. */
#include "bridge.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "gil.h"

namespace py = pybind11;

namespace tintype {
namespace {

constexpr size_t BLOCK = 64;

// FIPS 180-4: first 32 bits of the fractional parts of the square and cube roots of the first primes.
constexpr std::array<uint32_t, 8> START = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
alignas(16) constexpr uint32_t CONSTANTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/** The state as the instructions take it: (a, b, e, f) and (c, d, g, h). */
struct Registers {
  __m128i abef, cdgh;
};

__attribute__((target("sha,sse4.1"))) Registers loaded(const uint32_t* words) {
  const auto* from = reinterpret_cast<const __m128i*>(words);
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(from), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(from + 1), 0x1b);
  return {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

__attribute__((target("sha,sse4.1"))) void store(Registers state, uint32_t* words) {
  auto* to = reinterpret_cast<__m128i*>(words);
  const __m128i feba = _mm_shuffle_epi32(state.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(state.cdgh, 0xb1);
  _mm_storeu_si128(to, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(to + 1, _mm_alignr_epi8(dchg, feba, 8));
}

/** Mixes `count` blocks from each of `from` into each of `states`. */
template <size_t N>
__attribute__((target("sha,sse4.1"))) void mix(const std::array<uint32_t*, N>& states,
                                               std::array<const unsigned char*, N> from, size_t count) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  Registers now[N];
  for (size_t n = 0; n < N; ++n) now[n] = loaded(states[n]);
  for (; count > 0; --count) {
    Registers before[N];
    __m128i words[N][4];  // a ring of the last 16 of each stream
#pragma GCC unroll 2
    for (size_t n = 0; n < N; ++n) {
      before[n] = now[n];
      const auto* place = reinterpret_cast<const __m128i*>(from[n]);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) words[n][i] = _mm_shuffle_epi8(_mm_loadu_si128(place + i), big_endian);
      from[n] += BLOCK;
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const __m128i constants = _mm_load_si128(reinterpret_cast<const __m128i*>(CONSTANTS + 4 * i));
#pragma GCC unroll 2
      for (size_t n = 0; n < N; ++n) {
        const __m128i last = words[n][(i + 3) & 3], sum = _mm_add_epi32(words[n][i & 3], constants);
        now[n].cdgh = _mm_sha256rnds2_epu32(now[n].cdgh, now[n].abef, sum);
        now[n].abef = _mm_sha256rnds2_epu32(now[n].abef, now[n].cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i >= 12) continue;
        const __m128i early = _mm_sha256msg1_epu32(words[n][i & 3], words[n][(i + 1) & 3]);
        const __m128i seven_back = _mm_alignr_epi8(last, words[n][(i + 2) & 3], 4);
        words[n][i & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(early, seven_back), last);
      }
    }
#pragma GCC unroll 2
    for (size_t n = 0; n < N; ++n) {
      now[n].abef = _mm_add_epi32(now[n].abef, before[n].abef);
      now[n].cdgh = _mm_add_epi32(now[n].cdgh, before[n].cdgh);
    }
  }
  for (size_t n = 0; n < N; ++n) store(now[n], states[n]);
}

/** Bytes that are still to be mixed in. */
struct Bytes {
  const unsigned char* place;
  size_t count;

  void skip(size_t bytes) { place += bytes, count -= bytes; }
};

class Sha256 {
 public:
  void update(Bytes bytes) {
    complete(bytes);
    mix<1>({state_.data()}, {bytes.place}, bytes.count / BLOCK);
    keep(bytes);
  }

  static void update_both(Sha256& one, Bytes ones, Sha256& other, Bytes others) {
    one.complete(ones);
    other.complete(others);
    const size_t common = std::min(ones.count, others.count) / BLOCK;
    mix<2>({one.state_.data(), other.state_.data()}, {ones.place, others.place}, common);
    ones.skip(common * BLOCK);
    others.skip(common * BLOCK);
    mix<1>({one.state_.data()}, {ones.place}, ones.count / BLOCK);
    mix<1>({other.state_.data()}, {others.place}, others.count / BLOCK);
    one.keep(ones);
    other.keep(others);
  }

  std::array<unsigned char, 32> digest() const {
    Sha256 last = *this;
    unsigned char padding[2 * BLOCK] = {0x80};
    const size_t zeros = (held_ < BLOCK - 8 ? BLOCK : 2 * BLOCK) - held_ - 8;
    const uint64_t bits = __builtin_bswap64(8 * length());
    std::memcpy(padding + zeros, &bits, sizeof bits);
    last.update({padding, zeros + sizeof bits});
    std::array<unsigned char, 32> found;
    for (size_t i = 0; i < 8; ++i) {
      const uint32_t word = __builtin_bswap32(last.state_[i]);
      std::memcpy(found.data() + 4 * i, &word, sizeof word);
    }
    return found;
  }

 private:
  uint64_t length() const { return mixed_ + held_; }

  /** Fills the block that was begun. */
  void complete(Bytes& bytes) {
    if (held_ > 0) {
      const size_t part = std::min(BLOCK - held_, bytes.count);
      std::memcpy(begun_ + held_, bytes.place, part);
      bytes.skip(part);
      held_ += part;
      if (held_ == BLOCK) {
        mix<1>({state_.data()}, {begun_}, 1);
        mixed_ += BLOCK;
        held_ = 0;
      }
    }
    mixed_ += bytes.count / BLOCK * BLOCK;
  }

  /** Begins a block with what is left behind whole ones. */
  void keep(Bytes bytes) {
    const size_t left = bytes.count % BLOCK;
    if (left == 0) return;
    std::memcpy(begun_, bytes.place + (bytes.count - left), left);
    held_ = left;
  }

  std::array<uint32_t, 8> state_ = START;
  unsigned char begun_[BLOCK] = {};
  size_t held_ = 0;
  uint64_t mixed_ = 0;
};

bool has_instructions() {
  const unsigned ssse3 = 1u << 9, sse41 = 1u << 19, sha = 1u << 29;
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & (ssse3 | sse41)) != (ssse3 | sse41)) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & sha) != 0;
}

Bytes bytes_of(const py::buffer_info& info) {
  if (info.ndim > 1 || (info.ndim == 1 && info.size > 1 && info.strides[0] != info.itemsize)) {
    throw std::invalid_argument("expected bytes one after another");
  }
  return {static_cast<const unsigned char*>(info.ptr), static_cast<size_t>(info.size * info.itemsize)};
}

}  // namespace

void init_sha256(py::module_& m) {
  if (!has_instructions()) return;
  py::class_<Sha256>(m, "Sha256")
      .def(py::init<>())
      .def("update",
           [](Sha256& hash, const py::buffer& data) {
             const py::buffer_info info = data.request();
             const Bytes bytes = bytes_of(info);
             GilReleased others;
             hash.update(bytes);
           })
      .def_static("update_both",
                  [](Sha256& one, const py::buffer& ones, Sha256& other, const py::buffer& rest) {
                    const py::buffer_info first = ones.request(), second = rest.request();
                    const Bytes a = bytes_of(first), b = bytes_of(second);
                    if (&one == &other) throw std::invalid_argument("expected two streams");
                    GilReleased others;
                    Sha256::update_both(one, a, other, b);
                  })
      .def("hexdigest", [](const Sha256& hash) {
        std::string text;
        for (const unsigned char byte : hash.digest()) {
          text += "0123456789abcdef"[byte >> 4];
          text += "0123456789abcdef"[byte & 15];
        }
        return text;
      });
}

}  // namespace tintype

#else

namespace tintype {

void init_sha256(pybind11::module_&) {}

}  // namespace tintype

#endif
