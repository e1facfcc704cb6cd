#include "format/parse_budget.h"

#include <string>

#include "format/wire.h"
#include "run/available_memory.h"
#include "support/error.h"

namespace tintype {

namespace {

// Converters' packages take 3 to 6 times their bytes.
constexpr size_t kMostPerByte = 16, kUnquestioned = size_t{1} << 20;

}  // namespace

ParseBudget::ParseBudget(size_t file_bytes) : limit_(kUnquestioned + file_bytes * kMostPerByte) {}

void ParseBudget::take(size_t bytes, size_t offset) {
  constexpr size_t kStep = size_t{16} << 20;
  taken_ += bytes;
  if (taken_ > limit_) {
    refuse_damage(offset, "its messages are next to empty and would take more than " +
                              std::to_string(limit_ >> 20) + " MiB");
  }
  if (taken_ - checked_ < kStep) return;
  checked_ = taken_;
  if (!fits_in_memory(taken_)) {
    refuse(TT_ERROR_OUT_OF_MEMORY, {"model.mlmodel", "the program is larger than memory",
                                    std::to_string(taken_ >> 20) + " MiB of it so far", "",
                                    "Close other programs, or use a smaller model."});
  }
}

}  // namespace tintype
