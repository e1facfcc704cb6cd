/** numpy arrays as `tt_tensor` views, and results as numpy arrays: no element is copied unless it must be. */
#pragma once

#include <pybind11/numpy.h>

#include <memory>
#include <string>

#include "runtime.h"

namespace tintype {

/** A result of `predict`; the arrays made of it keep it alive. */
class Result {
 public:
  Result(std::shared_ptr<Runtime> runtime, tt_result* result)
      : runtime_(std::move(runtime)), result_(result) {}
  ~Result() { runtime_->api().result_free(result_); }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;

  const Runtime& runtime() const { return *runtime_; }
  const tt_result* get() const { return result_; }

 private:
  std::shared_ptr<Runtime> runtime_;
  tt_result* result_;
};

/** numpy's name of an element type ("float16"), or "" for a value that is not in the ABI. */
std::string dtype_name(tt_dtype dtype);

/**
 * A view of `array` called `name`. Arrays that cannot be described by aligned native elements and
 * whole-element strides are copied; `array` is replaced by the copy and must outlive the view.
 * InvalidInputError for element types and ranks outside the ABI.
 */
tt_tensor view(const std::string& name, pybind11::array& array);

/** An array over a tensor's memory, which the caller keeps alive. */
pybind11::array borrowed(const tt_tensor& tensor);

/** Output `index` of a result as (name, array); the array's base keeps `result` alive. */
std::pair<pybind11::str, pybind11::array> output(const std::shared_ptr<Result>& result, size_t index);

}  // namespace tintype
