#pragma once

#include <cstddef>

namespace tintype {

/**
 * What the messages of one file may take in memory. Two bytes on the wire can stand for an operation, which
 * takes hundreds here, so a file of a few megabytes that holds nothing else would fill gigabytes.
 */
class ParseBudget {
 public:
  explicit ParseBudget(size_t file_bytes);

  /** Counts `bytes` for what stands at `offset` of the file; TT_ERROR_FORMAT when they are out of proportion
   * to the file, TT_ERROR_OUT_OF_MEMORY when the machine has not as many. */
  void take(size_t bytes, size_t offset);

  size_t taken() const { return taken_; }

 private:
  size_t limit_, taken_ = 0, checked_ = 0;
};

}  // namespace tintype
