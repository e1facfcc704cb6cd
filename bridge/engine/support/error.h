#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tintype.h"

namespace tintype {

/** The one exception of the engine: a status of the C ABI and a sentence for a person. */
class EngineError : public std::runtime_error {
 public:
  EngineError(tt_status status, const std::string& text) : std::runtime_error(text), status_(status) {}
  tt_status status() const { return status_; }

 private:
  tt_status status_;
};

/** What a refusal says: "[where] problem, got X, expected Y. Remedy." Empty parts are left out. */
struct Problem {
  std::string where;
  std::string problem;
  std::string got = {};
  std::string expected = {};
  std::string remedy = {};
};

/** The sentence of a problem. */
std::string describe(const Problem& problem);

/** Throws an EngineError that says `problem`. */
[[noreturn]] void refuse(tt_status status, const Problem& problem);

/** TT_ERROR_OUT_OF_MEMORY if MLX could not allocate (it throws no bad_alloc), else TT_ERROR_RUNTIME. */
tt_status status_of(const std::exception& error);

/** Rethrows the exception that is being handled: the engine's own and bad_alloc as they are, MLX's as a
 * refusal at `where`. */
[[noreturn]] void rethrow_as_refusal(const std::string& where);

/** No path is longer. */
inline constexpr size_t kLongestPath = 4096;

/** `text` between double quotes, shortened when a damaged file made it huge, unprintable bytes shown as dots.
 */
std::string quoted(std::string_view text, size_t longest = 80);

/** True if `text` is well-formed UTF-8 without NUL bytes, so that it may cross the C ABI. */
bool is_plain_utf8(std::string_view text);

/** The one of `names` that `name` is most likely a misspelling of; empty if none is close. */
std::string closest_name(std::string_view name, const std::string_view* names, size_t count);

}  // namespace tintype
