#include "runtime.h"

#include <dlfcn.h>

#include "errors.h"
#include "gil.h"

namespace py = pybind11;

namespace tintype {
namespace {

std::string last_loader_error() {
  const char* error = dlerror();
  return error != nullptr ? error : "the loader gave no reason";
}

py::str describe(const Runtime& runtime) {
  char* value = nullptr;
  {
    const GilReleased released;
    value = runtime.api().describe_runtime();
  }
  return take_text(runtime.api(), value);
}

void check_available(const Runtime& runtime) {
  char* error = nullptr;
  tt_status status = TT_OK;
  {
    const GilReleased released;
    status = runtime.api().available(&error);
  }
  if (status != TT_OK) raise_call(runtime.api(), status, error);
}

/** A function of the table that says something about a package. */
using Report = tt_status (*tt_api::*)(const char*, const tt_load_options*, char**, char**);

template <Report report>
py::str report_on(const Runtime& runtime, const py::object& path, tt_compute_units units,
                  const py::object& cache_folder) {
  const PackageOptions package(path, units, cache_folder);
  char* value = nullptr;
  char* error = nullptr;
  tt_status status = TT_OK;
  {
    const GilReleased released;
    status = (runtime.api().*report)(package.path(), package.options(), &value, &error);
  }
  if (status != TT_OK) raise_call(runtime.api(), status, error);
  return take_text(runtime.api(), value);
}

}  // namespace

std::string file_system_path(const py::object& path) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &bytes) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(bytes);
}

PackageOptions::PackageOptions(const py::object& path, tt_compute_units units, const py::object& cache_folder)
    : path_(file_system_path(path)),
      cache_folder_(cache_folder.is_none() ? "" : file_system_path(cache_folder)) {
  options_.size = sizeof(options_);
  options_.units = units;
  options_.cache_folder = cache_folder_.empty() ? nullptr : cache_folder_.c_str();
}

py::str take_text(const tt_api& api, char* value) {
  const std::string copy = value != nullptr ? value : "{}";
  if (value != nullptr) api.string_free(value);
  return text(copy);
}

std::shared_ptr<Runtime> Runtime::open(const std::string& path, const std::string& symbol) {
  using Entry = const tt_api* (*)(uint32_t);
  void* library = nullptr;
  void* entry = nullptr;
  std::string problem;
  const tt_api* api = nullptr;
  {
    const GilReleased released;
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      problem = last_loader_error();
    } else if ((entry = dlsym(library, symbol.c_str())) == nullptr) {
      problem = last_loader_error();
    } else {
      api = reinterpret_cast<Entry>(entry)(TT_ABI_VERSION);
    }
  }
  if (!problem.empty())
    raise_unavailable("the runtime library cannot be loaded (" + problem + "): reinstall tintype");
  if (api == nullptr || api->abi_version != TT_ABI_VERSION || api->size < sizeof(tt_api)) {
    raise_unavailable("the runtime library " + path + " does not speak ABI version " +
                      std::to_string(TT_ABI_VERSION) +
                      ", which this tintype was built with: reinstall tintype");
  }
  return std::shared_ptr<Runtime>(new Runtime(api));
}

void init_runtime(py::module_& m) {
  py::class_<Runtime, std::shared_ptr<Runtime>>(m, "Runtime", "A runtime library and its function table.")
      .def_static(
          "open",
          [](const py::object& path, const std::string& symbol) {
            return Runtime::open(file_system_path(path), symbol);
          },
          py::arg("path"), py::arg("symbol"),
          "Load the library at `path` and take the table that `symbol` returns; BackendUnavailable if that "
          "fails.")
      .def("describe", &describe,
           "JSON about the runtime: name, version, implementation, device, compute_units.")
      .def("check_available", &check_available,
           "Raise BackendUnavailable, with the reason, if no model can run here.")
      .def("compute_plan", &report_on<&tt_api::compute_plan>, py::arg("path"), py::arg("units") = 0,
           py::arg("cache_folder") = py::none(),
           "JSON about where the ops of a package would run; UnsupportedModelError where the runtime has no "
           "plans.")
      .def("verdict_file", &report_on<&tt_api::verdict_file>, py::arg("path"), py::arg("units") = 0,
           py::arg("cache_folder") = py::none(),
           "Where it is kept that the runtime could not run a package; UnsupportedModelError where it keeps "
           "nothing.");
}

}  // namespace tintype
