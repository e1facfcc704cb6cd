#include "run/memory.h"

#include <cstring>
#include <memory>
#include <vector>

#include "mlx/mlx.h"
#include "run/compute.h"

namespace tintype {

namespace mx = mlx::core;
using mx::array;

namespace {

// MLX's CPU allocator keeps the size in front of the data and computes the data's address from its buffer's,
// so a buffer that begins one size before foreign bytes is a view of them. Other allocators' buffers are
// objects of their own: ask this one how it lays them out, and copy where the answer is another.
bool buffers_are_headers() {
  static const bool answer = [] {
    if (mx::is_available(mx::Device::gpu)) return false;
    auto probe = mx::allocator::malloc(64);
    auto buffer = probe.buffer();
    return static_cast<char*>(buffer.raw_ptr()) - static_cast<char*>(buffer.ptr()) == sizeof(size_t);
  }();
  return answer;
}

}  // namespace

array borrowed_array(const void* data, const mx::Shape& shape, mx::Dtype dtype,
                     const std::function<void()>& release) {
  auto* bytes = const_cast<char*>(static_cast<const char*>(data));
  if (bytes && buffers_are_headers()) {
    mx::allocator::Buffer buffer(bytes - sizeof(size_t));
    return array(mx::allocator::Data(buffer, [release](mx::allocator::Buffer) { release(); }), shape, dtype);
  }
  array copy(bytes, shape, dtype, [release](void*) { release(); });
  return copy;
}

array as_bools(const array& bytes) {
  return mx::not_equal(bytes, array(0, bytes.dtype()));
}

tt_tensor row_contiguous_tensor(const void* data, const mx::Shape& shape) {
  tt_tensor tensor{};
  tensor.data = const_cast<void*>(data);
  tensor.rank = static_cast<int32_t>(shape.size());
  int64_t stride = 1;
  for (int axis = tensor.rank - 1; axis >= 0; --axis) {
    tensor.shape[axis] = shape[axis];
    tensor.strides[axis] = stride;
    stride *= shape[axis];
  }
  return tensor;
}

bool is_row_contiguous(const tt_tensor& tensor) {
  int64_t expected = 1;
  for (int axis = tensor.rank - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) return false;
    expected *= tensor.shape[axis];
  }
  return true;
}

namespace {

// Copies a strided tensor, axis by axis; the last axis in one piece where it is dense.
void copy_strided(const tt_tensor& tensor, size_t itemsize, int axis, const char* source, char*& target) {
  if (axis == tensor.rank) {
    std::memcpy(target, source, itemsize);
    target += itemsize;
    return;
  }
  if (axis == tensor.rank - 1 && tensor.strides[axis] == 1) {
    size_t bytes = static_cast<size_t>(tensor.shape[axis]) * itemsize;
    std::memcpy(target, source, bytes);
    target += bytes;
    return;
  }
  int64_t step = tensor.strides[axis] * static_cast<int64_t>(itemsize);
  for (int64_t i = 0; i < tensor.shape[axis]; ++i)
    copy_strided(tensor, itemsize, axis + 1, source + i * step, target);
}

}  // namespace

array copied_array(const tt_tensor& tensor, mx::Dtype dtype) {
  mx::Shape shape;
  size_t count = 1;
  for (int axis = 0; axis < tensor.rank; ++axis) {
    shape.push_back(static_cast<int>(tensor.shape[axis]));
    count *= static_cast<size_t>(tensor.shape[axis]);
  }
  size_t itemsize = mx::size_of(dtype);
  auto data = mx::allocator::malloc(std::max<size_t>(count, 1) * itemsize);
  auto* target = static_cast<char*>(data.buffer().raw_ptr());
  if (!target) throw std::bad_alloc();
  if (count > 0) copy_strided(tensor, itemsize, 0, static_cast<const char*>(tensor.data), target);
  return array(std::move(data), std::move(shape), dtype);
}

array owned_contiguous(const array& x) {
  auto whole = [](const array& y) {
    bool owned = y.data_shared_ptr() && y.data_shared_ptr()->is_owned();
    return (y.flags().row_contiguous && owned) || y.size() == 0;
  };
  if (x.is_available() && whole(x)) return x;
  array y = mx::contiguous(x);
  compute({y});
  if (whole(y)) return y;
  auto data = mx::allocator::malloc(y.nbytes());
  auto* target = static_cast<char*>(data.buffer().raw_ptr());
  if (!target) throw std::bad_alloc();
  std::memcpy(target, y.data<char>(), y.nbytes());
  return array(std::move(data), y.shape(), y.dtype());
}

}  // namespace tintype
