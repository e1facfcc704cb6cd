#pragma once

#include <string>
#include <vector>

#include "kernels/places.h"
#include "ops/call.h"

namespace tintype {

/** Far above any image's side and far below an overflow. */
constexpr int kLongestSide = 1 << 24;

/**
 * Where output place `i` of `target` falls in an input of `length` elements, in elements; the caller keeps it
 * inside the input. The length may be a fraction: that of a box.
 */
using Grid = double (*)(int i, double length, int target);

/** MIL's sampling modes of resize_bilinear, resize and crop_resize. */
Grid grid_of(Call& call);

/** The two grids of upsample_bilinear that no sampling mode names otherwise. */
double align_corners(int i, double length, int target);
double half_pixel(int i, double length, int target);
double from_origin(int i, double length, int target);

/** One axis of `x` with `target` elements of `dtype`: linear between neighbours. */
array resized_linear(const array& x, int axis, int target, Grid grid, mx::Dtype dtype);

/**
 * The same with the nearest element. DEFAULT counts from pixel centres, floor((i + 0.5) length / target):
 * coremltools hands TensorFlow's half_pixel_centers to it. The other modes round their place, halves up.
 */
array resized_nearest(const array& x, int axis, int target, Grid grid);

using kernels::Outside;
using kernels::SamplePlan;

/**
 * Pixels of images [b, c, h, w] at any places: [*L, c, *R], where `image` (int32), `y` and `x` (float32, in
 * pixels) broadcast to [*L, *R] with `plan.leading` axes L. A place that is no number counts as outside.
 */
array sampled(const array& images, const array& image, const array& y, const array& x,
              const SamplePlan& plan);

/** The ops that sample at given places (image_sampling.cpp); image_resizing's table holds them. */
array affine(Call& call);
array crop_resize(Call& call);
array resample(Call& call);

}  // namespace tintype
