#include "kernels/elements.h"
#include "kernels/gather.h"
#include "kernels/primitives.h"
#include "ops/call.h"
#include "ops/registry.h"
#include "ops/shapes.h"

namespace tintype {

namespace {

array expand_dims(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> axes = call.integers("axes");
  return mx::expand_dims(x, checked_axes(call, "axes", axes, x.ndim() + axes.size()));
}

array squeeze(Call& call) {
  const array& x = call.tensor("x");
  if (!call.has("axes")) return mx::squeeze(x);
  std::vector<int> axes = call.axes_or("axes", {}, x.ndim());
  for (int axis : axes) {
    if (x.shape(axis) != 1)
      call.fail("an axis that shall go has another length than 1", describe_shape(x.shape()),
                "1 on axis " + std::to_string(axis));
  }
  return mx::squeeze(x, axes);
}

// One -1 may stand for what is left.
void check_same_count(Call& call, const array& x, const std::vector<int>& shape) {
  auto open = std::count(shape.begin(), shape.end(), -1);
  int64_t known = 1, size = static_cast<int64_t>(x.size());
  for (int length : shape) {
    if (length > 0 && known > kMostElements / length) known = kMostElements;
    if (length >= 0) known *= length;
  }
  bool fits = open == 0 ? known == size : open == 1 && known > 0 && size % known == 0;
  if (fits) return;
  call.fail("the shape does not fit", describe_shape(to_shape(shape)),
            "the " + std::to_string(size) + " elements of " + describe_shape(x.shape()) +
                ", and -1 on one axis at most");
}

// 0 keeps the input's dimension, -1 takes what is left.
array reshape(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> shape = call.integers("shape");
  bool has_unknown = std::find(shape.begin(), shape.end(), -1) != shape.end();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && i < x.ndim() && (x.size() != 0 || has_unknown))
      shape[i] = x.shape(static_cast<int>(i));
    if (shape[i] < -1) call.fail("the shape is negative", std::to_string(shape[i]), "-1 or more");
  }
  check_same_count(call, x, shape);
  return mx::reshape(kernels::dense(x), to_shape(shape));
}

array reshape_like(Call& call) {
  const array& x = call.tensor("x");
  std::vector<array> references = call.tensors("ref_tensors");
  std::vector<int> begins = call.integers("begins"), ends = call.integers("ends");
  std::vector<int> masks = call.integers_or("end_masks", std::vector<int>(references.size(), 0));
  if (begins.size() != references.size() || ends.size() != references.size() ||
      masks.size() != references.size()) {
    std::string count = std::to_string(references.size());
    call.fail("begins and ends do not fit ref_tensors",
              std::to_string(begins.size()) + " and " + std::to_string(ends.size()), count + " and " + count);
  }
  std::vector<int> shape;
  for (size_t i = 0; i < references.size(); ++i) {
    int rank = static_cast<int>(references[i].ndim());
    int begin = begins[i] < 0 ? begins[i] + rank : begins[i];
    int end = masks[i] ? rank : (ends[i] < 0 ? ends[i] + rank : ends[i]);
    if (begin < 0 || end > rank)
      call.fail("begins or ends lie outside a reference",
                std::to_string(begins[i]) + " to " + std::to_string(ends[i]), "0 to " + std::to_string(rank));
    for (int axis = begin; axis < end; ++axis) shape.push_back(references[i].shape(axis));
  }
  check_same_count(call, x, shape);
  return mx::reshape(x, to_shape(shape));
}

array transpose(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> perm = call.axes_or("perm", {}, x.ndim());
  if (perm.size() != x.ndim())
    call.fail("perm has a wrong count of values", std::to_string(perm.size()), std::to_string(x.ndim()));
  return mx::transpose(x, perm);
}

array reverse(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> all(x.ndim());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
  return mx::flip(x, call.axes_or("axes", all, x.ndim()));
}

/** begin, end and stride of slice_by_index and slice_update as MLX counts them. */
struct Window {
  mx::Shape start, stop, stride;
  std::vector<int> squeezed;
};

Window window_of(Call& call, const array& x) {
  size_t rank = x.ndim();
  std::vector<int> begin = call.integers("begin"), end = call.integers("end");
  std::vector<int> stride = call.integers_or("stride", std::vector<int>(rank, 1));
  auto begin_mask = call.flags_or("begin_mask", rank, false),
       end_mask = call.flags_or("end_mask", rank, false);
  auto squeeze_mask = call.flags_or("squeeze_mask", rank, false);
  if (begin.size() != rank || end.size() != rank || stride.size() != rank) {
    call.fail("begin, end or stride has a wrong count of values",
              std::to_string(begin.size()) + ", " + std::to_string(end.size()) + " and " +
                  std::to_string(stride.size()),
              std::to_string(rank));
  }
  Window window{mx::Shape(rank, 0), mx::Shape(rank, 0), mx::Shape(rank, 1), {}};
  for (size_t i = 0; i < rank; ++i) {
    int size = x.shape(static_cast<int>(i)), step = stride[i];
    if (step == 0) call.fail("a stride is 0", "0", "any other number");
    step = std::clamp(step, -std::max(size, 1), std::max(size, 1));  // MLX adds it to the length
    int first = begin[i] < 0 ? begin[i] + size : begin[i];
    int last = end[i] < 0 ? end[i] + size : end[i];
    if (squeeze_mask[i]) {  // one element; `end` means nothing
      if (first < 0 || first >= size)
        call.fail("an index lies outside its axis", std::to_string(begin[i]),
                  "-" + std::to_string(size) + " to " + std::to_string(size - 1));
      window.squeezed.push_back(static_cast<int>(i));
      last = first + 1, step = 1;
    } else {
      if (begin_mask[i]) first = step > 0 ? 0 : size - 1;
      if (end_mask[i]) last = step > 0 ? size : -1;
      if (step > 0)
        first = std::clamp(first, 0, size), last = std::clamp(last, first, size);
      else
        first = std::clamp(first, -1, size - 1), last = std::clamp(last, -1, first);
    }
    window.start[i] = first, window.stop[i] = last, window.stride[i] = step;
  }
  return window;
}

// MLX counts a negative stop from the end, so one that means "before the first" lies a whole axis lower.
array cut(const array& x, Window window) {
  for (size_t i = 0; i < window.stop.size(); ++i) {
    if (window.stride[i] < 0 && window.stop[i] < 0) window.stop[i] = -x.shape(static_cast<int>(i)) - 1;
  }
  return mx::slice(x, window.start, window.stop, window.stride);
}

array slice_by_index(Call& call) {
  const array& x = call.tensor("x");
  Window window = window_of(call, x);
  array y = cut(x, window);
  return window.squeezed.empty() ? y : mx::squeeze(y, window.squeezed);
}

array slice_by_size(Call& call) {
  const array& x = call.tensor("x");
  std::vector<int> begin = call.integers("begin"), size = call.integers("size");
  if (begin.size() != x.ndim() || size.size() != x.ndim()) {
    call.fail("begin or size has a wrong count of values",
              std::to_string(begin.size()) + " and " + std::to_string(size.size()), std::to_string(x.ndim()));
  }
  mx::Shape start(x.ndim(), 0), stop(x.ndim(), 0);
  for (size_t i = 0; i < x.ndim(); ++i) {
    int length = x.shape(static_cast<int>(i));
    start[i] = begin[i] < 0 ? begin[i] + length : begin[i];
    int64_t end = size[i] == -1 ? length : static_cast<int64_t>(start[i]) + size[i];
    if (start[i] < 0 || end < start[i] || end > length) {
      call.fail("the slice leaves the tensor on axis " + std::to_string(i),
                std::to_string(begin[i]) + " + " + std::to_string(size[i]),
                "at most " + std::to_string(length));
    }
    stop[i] = static_cast<int>(end);
  }
  return mx::slice(x, start, stop);
}

array slice_update(Call& call) {
  array x = call.tensor("x"), update = call.tensor("update");
  Window window = window_of(call, x);
  if (!window.squeezed.empty()) update = mx::expand_dims(update, window.squeezed);
  mx::Shape shape = cut(x, window).shape();
  check_broadcast_to(call, "update", update.shape(), shape);
  for (size_t i = 0; i < window.stride.size(); ++i) {
    int &first = window.start[i], &last = window.stop[i], &step = window.stride[i];
    if (step > 0) continue;  // MLX writes forwards only: the same places from the other end
    int count = (first - last - step - 1) / -step;
    last = first + 1, first += std::max(count - 1, 0) * step, step = -step;
    if (count == 0) first = last = 0;
    update = mx::flip(mx::broadcast_to(update, shape), static_cast<int>(i));
  }
  return mx::slice_update(x, update, window.start, window.stop, window.stride);
}

bool is_square_factor(int64_t r, int channels) {
  return r >= 1 && channels % (r * r) == 0;
}

int product(Call& call, int64_t a, int64_t b) {
  return call.checked_length(a * b);
}

using Order = std::vector<int>;

// Axes n c h r w r in the order in which channels and blocks lie after it: the place in a block is the low
// part of the channel, or the high one.
const Order kPlaceIsLow = {0, 1, 3, 5, 2, 4}, kPlaceIsHigh = {0, 3, 5, 1, 2, 4};

// [n, c·r², h, w] -> [n, c, h·r, w·r]
array channels_to_space(Call& call, const char* factor, const Order& order) {
  const array& x = call.tensor("x");
  int r = call.integer(factor);
  if (x.ndim() != 4 || !is_square_factor(r, x.shape(1))) {
    call.fail(std::string("the channels do not divide by ") + factor + " squared",
              describe_shape(x.shape()) + " and " + std::to_string(r), "[n, c, h, w]");
  }
  int n = x.shape(0), c = x.shape(1) / (r * r), h = x.shape(2), w = x.shape(3);
  mx::Shape parts = {n, c, h, r, w, r}, turned;
  Order back(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    turned.push_back(parts[order[i]]);
    back[static_cast<size_t>(order[i])] = static_cast<int>(i);
  }
  array y = kernels::dense(mx::transpose(mx::reshape(x, turned), back));
  return mx::reshape(y, {n, c, product(call, h, r), product(call, w, r)});
}

// [n, c, h·r, w·r] -> [n, c·r², h, w]
array space_to_channels(Call& call, const char* factor, const Order& order) {
  const array& x = call.tensor("x");
  int r = call.integer(factor);
  if (x.ndim() != 4 || r < 1 || x.shape(2) % r != 0 || x.shape(3) % r != 0) {
    call.fail(std::string("height and width do not divide by ") + factor,
              describe_shape(x.shape()) + " and " + std::to_string(r), "[n, c, h, w]");
  }
  int n = x.shape(0), c = x.shape(1), h = x.shape(2) / r, w = x.shape(3) / r;
  array y = kernels::dense(mx::transpose(mx::reshape(x, {n, c, h, r, w, r}), order));
  return mx::reshape(y, {n, product(call, c, product(call, r, r)), h, w});
}

array pixel_shuffle(Call& call) {
  return channels_to_space(call, "upscale_factor", kPlaceIsLow);
}

array pixel_unshuffle(Call& call) {
  return space_to_channels(call, "downscale_factor", kPlaceIsLow);
}

array depth_to_space(Call& call) {
  return channels_to_space(call, "block_size", kPlaceIsHigh);
}

array space_to_depth(Call& call) {
  return space_to_channels(call, "block_size", kPlaceIsHigh);
}

/** block_shape, and what is added to or cut from both ends of the last two axes. */
struct Blocks {
  int height, width;
  std::vector<int> edges;
};

Blocks blocks_of(Call& call, const array& x, const char* edges) {
  std::vector<int> block = call.integers("block_shape");
  Blocks blocks{0, 0, call.integers(edges)};
  if (x.ndim() != 4 || block.size() != 2 || blocks.edges.size() != 4) {
    call.fail("x must have rank 4 and two block sizes",
              "rank " + std::to_string(x.ndim()) + " and " + std::to_string(block.size()), "rank 4 and 2");
  }
  for (int size : block) {
    if (size < 1) call.fail("a block's size must be positive", std::to_string(size), "1 or more");
  }
  for (int edge : blocks.edges) {
    if (edge < 0 || edge > 1 << 24)
      call.fail(std::string(edges) + " are impossible", std::to_string(edge), "0 to 16777216");
  }
  blocks.height = block[0], blocks.width = block[1];
  return blocks;
}

// Blocks of the last two axes move to the batch, and back.
array space_to_batch(Call& call) {
  array x = call.tensor("x");
  auto [bh, bw, edges] = blocks_of(call, x, "paddings");
  x = mx::pad(x, {{0, 0}, {0, 0}, {edges[0], edges[1]}, {edges[2], edges[3]}}, array(0, x.dtype()));
  int n = x.shape(0), c = x.shape(1), h = x.shape(2) / bh, w = x.shape(3) / bw;
  if (x.shape(2) % bh != 0 || x.shape(3) % bw != 0) {
    call.fail("the blocks do not divide height and width",
              describe_shape(x.shape()) + " and " + std::to_string(bh) + " x " + std::to_string(bw),
              "a multiple each");
  }
  array y = kernels::dense(mx::transpose(mx::reshape(x, {n, c, h, bh, w, bw}), {3, 5, 0, 1, 2, 4}));
  return mx::reshape(y, {product(call, product(call, n, bh), bw), c, h, w});
}

array batch_to_space(Call& call) {
  const array& x = call.tensor("x");
  auto [bh, bw, crops] = blocks_of(call, x, "crops");
  int64_t block = int64_t{bh} * bw;
  if (x.shape(0) % block != 0) {
    call.fail("the blocks do not divide the batch",
              describe_shape(x.shape()) + " and " + std::to_string(bh) + " x " + std::to_string(bw),
              "a multiple");
  }
  int n = static_cast<int>(x.shape(0) / block), c = x.shape(1), h = x.shape(2), w = x.shape(3);
  array y = kernels::dense(mx::transpose(mx::reshape(x, {bh, bw, n, c, h, w}), {2, 3, 4, 0, 5, 1}));
  int height = product(call, h, bh), width = product(call, w, bw);
  if (crops[0] + crops[1] > height || crops[2] + crops[3] > width)
    call.fail("crops leave nothing",
              std::to_string(crops[0] + crops[1]) + " and " + std::to_string(crops[2] + crops[3]),
              "at most " + std::to_string(height) + " and " + std::to_string(width));
  y = mx::reshape(y, {n, c, height, width});
  return mx::slice(y, {0, 0, crops[0], crops[2]}, {n, c, height - crops[1], width - crops[3]});
}

// x [..., size of axis, ...] -> [..., windows, window, ...]
array sliding_windows(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.axis_or("axis", 0, x.ndim()), size = call.integer("size"),
      stride = call.integer_or("stride", 1);
  int length = x.shape(axis);
  if (size < 1 || stride < 1 || size > length) {
    call.fail("the window does not fit", std::to_string(size), "1 to " + std::to_string(length));
  }
  int count = (length - size) / stride + 1;
  if (computes_on_cpu() && x.size() != 0) {  // windows where they lie, copied once
    mx::Shape shape = x.shape();
    mx::Strides steps(x.ndim(), 1);
    for (int i = static_cast<int>(x.ndim()) - 2; i >= 0; --i) steps[i] = steps[i + 1] * shape[i + 1];
    shape[axis] = count, shape.insert(shape.begin() + axis + 1, size);
    steps.insert(steps.begin() + axis, steps[axis] * stride);
    return kernels::dense(mx::as_strided(kernels::dense(x), shape, steps, 0));
  }
  array first = mx::multiply(mx::arange(count), array(stride));
  array index = mx::add(mx::expand_dims(first, 1), mx::arange(size));
  return mx::take(x, index, axis);
}

// Reverses the first lengths[b] elements of seq_axis in every row b of batch_axis.
array reverse_sequence(Call& call) {
  const array& x = call.tensor("x");
  int sequence = call.axis_or("seq_axis", 0, x.ndim()), batch = call.axis_or("batch_axis", 0, x.ndim());
  int length = x.shape(sequence);
  if (sequence == batch) call.fail("seq_axis and batch_axis are one axis", std::to_string(batch), "two axes");
  check_count(call, "lengths", x.shape(batch), "place of batch_axis");
  array lengths = mx::reshape(mx::astype(call.tensor("lengths"), mx::int32), {-1, 1});
  array place = mx::expand_dims(mx::arange(length), 0), last = mx::subtract(lengths, array(1));
  auto inside = kernels::element(kernels::Element::kIntLess, {place, lengths}, mx::bool_);
  auto turned = kernels::element(kernels::Element::kIntSub, {last, place}, mx::int32);
  array index = kernels::select(inside ? *inside : mx::less(place, lengths),
                                turned ? *turned : mx::subtract(last, place), place);
  mx::Shape shape(x.ndim(), 1);
  shape[sequence] = length, shape[batch] = x.shape(batch);
  index = mx::reshape(sequence < batch ? mx::transpose(index) : index, shape);
  if (kernels::can_gather(x)) return kernels::gather_along(x, index, sequence);
  index = mx::clip(index, array(0), array(length - 1));
  return mx::take_along_axis(x, mx::broadcast_to(index, x.shape()), sequence);
}

array flatten2d(Call& call) {
  const array& x = call.tensor("x");
  int axis = call.integer_or("axis", 1);
  if (axis < 0) axis += static_cast<int>(x.ndim());
  if (axis < 0 || axis > static_cast<int>(x.ndim()))
    call.fail("parameter \"axis\" is no place between axes", std::to_string(axis),
              "0 to " + std::to_string(x.ndim()));
  int rows = 1;
  for (int i = 0; i < axis; ++i) rows = product(call, rows, x.shape(i));
  return mx::reshape(x, {rows, rows ? static_cast<int>(x.size() / static_cast<size_t>(rows)) : 0});
}

}  // namespace

OpTable tensor_transformation_ops() {
  return {
      {"batch_to_space", batch_to_space, "x block_shape crops"},
      {"depth_to_space", depth_to_space, "x block_size"},
      {"expand_dims", expand_dims, "x axes"},
      {"flatten2d", flatten2d, "x axis?"},
      {"pixel_shuffle", pixel_shuffle, "x upscale_factor"},
      {"pixel_unshuffle", pixel_unshuffle, "x downscale_factor"},
      {"reshape", reshape, "x shape"},
      {"reshape_like", reshape_like, "x ref_tensors* begins* ends* end_masks*?"},
      {"reverse", reverse, "x axes?"},
      {"reverse_sequence", reverse_sequence, "x lengths seq_axis? batch_axis?"},
      {"slice_by_index", slice_by_index, "x begin end stride? begin_mask? end_mask? squeeze_mask?"},
      {"slice_by_size", slice_by_size, "x begin size"},
      {"slice_update", slice_update, "x update begin end stride? begin_mask? end_mask? squeeze_mask?"},
      {"sliding_windows", sliding_windows, "x axis size stride?"},
      {"space_to_batch", space_to_batch, "x block_shape paddings"},
      {"space_to_depth", space_to_depth, "x block_size"},
      {"squeeze", squeeze, "x axes?"},
      {"transpose", transpose, "x perm"},
  };
}

}  // namespace tintype
