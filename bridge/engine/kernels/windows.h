#pragma once

#include <functional>

#include "kernels/gemm.h"

namespace tintype::kernels {

/** A window that slides over one image of one channel [h, w]. */
struct Slide {
  Patches patches;
  int out_height;
  const float* weights = nullptr;  // [kh, kw] of a sum; null: the largest element
  float bias = 0;                  // of a sum

  /** True if there is a window, and the lines that one row of results needs fit into a thread's memory. */
  bool fits() const;
  /** How many rows of results are worth a task. */
  int rows() const;
};

/** Rows [first, first + rows) of the results [oh, ow]. Where there are weights 0 lies outside the image, else
 * -∞. `c` has no bias. */
void slide(const Slide& s, int first, int rows, const Product& c);

/** Slides over all of `images` of the same size, result after result from `c` on. */
void slide_all(int64_t images, const std::function<Slide(int64_t)>& slide_of, const Product& c);

}  // namespace tintype::kernels
