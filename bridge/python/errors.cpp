#include "errors.h"

namespace py = pybind11;

namespace tintype {
namespace {

const char* class_name(tt_status status) {
  switch (status) {
    case TT_ERROR_INVALID_ARGUMENT:
      return "InvalidInputError";
    case TT_ERROR_IO:
      return "ModelFileError";
    case TT_ERROR_FORMAT:
      return "ModelFormatError";
    case TT_ERROR_UNSUPPORTED:
      return "UnsupportedModelError";
    case TT_ERROR_OUT_OF_MEMORY:
      return "OutOfMemoryError";
    case TT_ERROR_CANCELLED:
      return "Cancelled";
    case TT_ERROR_UNAVAILABLE:
      return "BackendUnavailable";
    default:
      return "EngineError";
  }
}

}  // namespace

py::str text(const std::string& bytes) {
  PyObject* decoded = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(decoded);
}

void raise_status(tt_status status, const std::string& message) {
  py::object type = py::module_::import("tintype.errors").attr(class_name(status));
  py::object error = type(text(message));
  // RUNTIME and codes of later ABI versions share EngineError.
  if (status != TT_ERROR_UNAVAILABLE) error.attr("status") = status;
  PyErr_SetObject(type.ptr(), error.ptr());
  throw py::error_already_set();
}

void raise_call(const tt_api& api, tt_status status, char* error) {
  std::string message =
      error != nullptr ? error : "the runtime gave no reason (status " + std::to_string(status) + ")";
  if (error != nullptr) api.string_free(error);
  raise_status(status, message);
}

void raise_invalid(const std::string& message) {
  raise_status(TT_ERROR_INVALID_ARGUMENT, message);
}

void raise_unavailable(const std::string& message) {
  raise_status(TT_ERROR_UNAVAILABLE, message);
}

}  // namespace tintype
