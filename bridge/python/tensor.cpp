#include "tensor.h"

#include <array>
#include <vector>

#include "errors.h"

namespace py = pybind11;

namespace tintype {
namespace {

struct DtypeRow {
  tt_dtype dtype;
  char kind;  // numpy's `dtype.kind`
  int size;   // bytes
  const char* name;
};

constexpr std::array<DtypeRow, 11> kDtypes = {{
    {TT_BOOL, 'b', 1, "bool"},
    {TT_INT8, 'i', 1, "int8"},
    {TT_UINT8, 'u', 1, "uint8"},
    {TT_INT16, 'i', 2, "int16"},
    {TT_UINT16, 'u', 2, "uint16"},
    {TT_INT32, 'i', 4, "int32"},
    {TT_UINT32, 'u', 4, "uint32"},
    {TT_INT64, 'i', 8, "int64"},
    {TT_FLOAT16, 'f', 2, "float16"},
    {TT_FLOAT32, 'f', 4, "float32"},
    {TT_FLOAT64, 'f', 8, "float64"},
}};

const DtypeRow* row_of(tt_dtype dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

const DtypeRow& row_of(const std::string& name, const py::dtype& dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.kind == dtype.kind() && row.size == dtype.itemsize()) return row;
  }
  std::string known;
  for (const DtypeRow& row : kDtypes) {
    if (!known.empty()) known.append(", ");
    known.append(row.name);
  }
  std::string message = "input \"";
  message.append(name).append("\" has dtype ").append(py::str(dtype).cast<std::string>());
  raise_invalid(message.append(", expected one of ").append(known).append(": convert it with .astype(...)"));
}

bool can_be_viewed(const py::array& array) {
  const py::ssize_t size = array.itemsize();
  const bool native = array.dtype().attr("isnative").cast<bool>();
  const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
  bool whole = true;
  for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) whole = whole && array.strides(axis) % size == 0;
  return native && aligned && whole;
}

py::array native_copy(const py::array& array) {
  return array.attr("astype")(array.dtype().attr("newbyteorder")("="), py::arg("order") = "C",
                              py::arg("copy") = true);
}

[[noreturn]] void raise_bad_output(size_t index, const std::string& problem) {
  raise_status(TT_ERROR_RUNTIME, "the runtime returned output " + std::to_string(index) + " with " + problem);
}

}  // namespace

std::string dtype_name(tt_dtype dtype) {
  const DtypeRow* row = row_of(dtype);
  return row != nullptr ? row->name : "";
}

tt_tensor view(const std::string& name, py::array& array) {
  const DtypeRow& row = row_of(name, array.dtype());
  if (array.ndim() > TT_MAX_RANK) {
    raise_invalid("input \"" + name + "\" has rank " + std::to_string(array.ndim()) + ", expected at most " +
                  std::to_string(TT_MAX_RANK) + ": reshape it");
  }
  if (!can_be_viewed(array)) array = native_copy(array);
  tt_tensor tensor = {};
  tensor.name = name.c_str();
  tensor.data = const_cast<void*>(array.data());
  tensor.dtype = row.dtype;
  tensor.rank = static_cast<int32_t>(array.ndim());
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    tensor.shape[axis] = array.shape(axis);
    tensor.strides[axis] = array.strides(axis) / row.size;
  }
  return tensor;
}

py::array borrowed(const tt_tensor& tensor) {
  const DtypeRow* row = row_of(tensor.dtype);
  if (row == nullptr) raise_status(TT_ERROR_RUNTIME, "the runtime returned an unknown dtype");
  std::vector<py::ssize_t> shape(tensor.shape, tensor.shape + tensor.rank), strides;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) strides.push_back(tensor.strides[axis] * row->size);
  return py::array(py::dtype(row->name), shape, strides, tensor.data, py::capsule(tensor.data, [](void*) {}));
}

std::pair<py::str, py::array> output(const std::shared_ptr<Result>& result, size_t index) {
  tt_tensor tensor = {};
  char* error = nullptr;
  const tt_api& api = result->runtime().api();
  const tt_status status = api.result_tensor(result->get(), index, &tensor, &error);
  if (status != TT_OK) raise_call(api, status, error);

  const DtypeRow* row = row_of(tensor.dtype);
  if (tensor.name == nullptr) raise_bad_output(index, "no name");
  if (row == nullptr) raise_bad_output(index, "the unknown dtype " + std::to_string(tensor.dtype));
  if (tensor.rank < 0 || tensor.rank > TT_MAX_RANK)
    raise_bad_output(index, "rank " + std::to_string(tensor.rank));
  std::vector<py::ssize_t> shape(tensor.rank), strides(tensor.rank);
  bool empty = false;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    if (tensor.shape[axis] < 0) raise_bad_output(index, "a negative extent");
    empty = empty || tensor.shape[axis] == 0;
    shape[axis] = tensor.shape[axis];
    strides[axis] = tensor.strides[axis] * row->size;
  }
  const py::dtype dtype(row->name);
  if (empty) return {text(tensor.name), py::array(dtype, shape)};
  if (tensor.data == nullptr) raise_bad_output(index, "no data");
  py::capsule owner(new std::shared_ptr<Result>(result),
                    [](void* held) { delete static_cast<std::shared_ptr<Result>*>(held); });
  return {text(tensor.name), py::array(dtype, shape, strides, tensor.data, owner)};
}

}  // namespace tintype
