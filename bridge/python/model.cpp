#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"
#include "gil.h"
#include "runtime.h"
#include "tensor.h"

namespace py = pybind11;

namespace tintype {
namespace {

/** What a model says of one input, output or state. */
struct Feature {
  std::string name;
  std::string dtype;
  std::optional<std::vector<int64_t>> shape;  // none: any rank
  bool optional = false;
  std::string color_layout;  // of an image: RGB, BGR, GRAYSCALE, GRAYSCALE_FLOAT16; else empty
};

std::string layout_name(tt_color_layout layout) {
  switch (layout) {
    case TT_RGB:
      return "RGB";
    case TT_BGR:
      return "BGR";
    case TT_GRAYSCALE:
      return "GRAYSCALE";
    case TT_GRAYSCALE_FLOAT16:
      return "GRAYSCALE_FLOAT16";
    default:
      return "";
  }
}

/** A loaded model of a runtime; freed when the last user is gone. */
struct LoadedModel {
  LoadedModel(std::shared_ptr<Runtime> owner, tt_model* loaded) : runtime(std::move(owner)), model(loaded) {}
  /** Without the GIL: freeing a model may wait for worker threads. */
  ~LoadedModel() {
    const GilReleased released;
    runtime->api().model_free(model);
  }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  const tt_api& api() const { return runtime->api(); }

  std::shared_ptr<Runtime> runtime;
  tt_model* model;
};

using Function = std::optional<std::string>;

const char* pointer(const Function& function) {
  return function ? function->c_str() : nullptr;
}

class Model {
 public:
  explicit Model(std::shared_ptr<LoadedModel> loaded) : loaded_(std::move(loaded)) {}

  bool closed() const { return loaded_ == nullptr; }

  void close() {
    // Only then freed, which lets other threads run: they must find it closed.
    const std::shared_ptr<LoadedModel> last = std::move(loaded_);
  }

  /** Its own reference, so that `close` in another thread cannot free a model that is in use. */
  std::shared_ptr<LoadedModel> use() const {
    if (loaded_ == nullptr) raise_invalid("the model is closed: load it again");
    return loaded_;
  }

 private:
  std::shared_ptr<LoadedModel> loaded_;
};

/** A state of a model, which it keeps loaded. */
class State {
 public:
  State(std::shared_ptr<LoadedModel> model, tt_state* state) : model_(std::move(model)), state_(state) {}
  ~State() {
    const GilReleased released;
    model_->api().state_free(state_);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const LoadedModel& model() const { return *model_; }

  /**
   * The only use of a state within its scope. The runtime refuses a second use while it predicts; that values
   * are copied from what it lent is known here alone, and NumPy copies much without the GIL.
   */
  class Use {
   public:
    explicit Use(State* state) : state_(state) {
      if (state_ != nullptr && state_->in_use_.exchange(true)) {
        raise_invalid("the state is in use by another call. Wait for it, or make a state for each.");
      }
    }
    ~Use() {
      if (state_ != nullptr) state_->in_use_ = false;
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    tt_state* get() const { return state_ != nullptr ? state_->state_ : nullptr; }

   private:
    State* state_;
  };

 private:
  std::shared_ptr<LoadedModel> model_;
  tt_state* state_;
  std::atomic<bool> in_use_{false};
};

std::unique_ptr<Model> load(const std::shared_ptr<Runtime>& runtime, const py::object& path,
                            tt_compute_units units, const py::object& cache_folder) {
  const PackageOptions package(path, units, cache_folder);
  tt_model* model = nullptr;
  char* error = nullptr;
  tt_status status = TT_OK;
  {
    const GilReleased released;
    status = runtime->api().model_load(package.path(), package.options(), &model, &error);
  }
  if (status != TT_OK) raise_call(runtime->api(), status, error);
  if (model == nullptr)
    raise_status(TT_ERROR_RUNTIME, "the runtime loaded no model from " + std::string(package.path()));
  return std::make_unique<Model>(std::make_shared<LoadedModel>(runtime, model));
}

std::vector<std::string> functions(const Model& model) {
  const auto used = model.use();
  std::vector<std::string> names;
  for (size_t i = 0; i < used->api().function_count(used->model); ++i) {
    const char* name = used->api().function_name(used->model, i);
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

void check_function(const Model& model, const Function& function) {
  if (!function) return;
  std::string known;
  for (const std::string& name : functions(model)) {
    if (name == *function) return;
    known += (known.empty() ? "" : ", ") + name;
  }
  raise_invalid("the model has no function \"" + *function + "\", expected one of " + known);
}

std::vector<Feature> features(const Model& model, tt_feature_kind kind, const Function& function) {
  const auto used = model.use();
  check_function(model, function);
  std::vector<Feature> rows;
  for (size_t i = 0; i < used->api().feature_count(used->model, pointer(function), kind); ++i) {
    tt_feature feature = {};
    char* error = nullptr;
    const tt_status status = used->api().feature(used->model, pointer(function), kind, i, &feature, &error);
    if (status != TT_OK) raise_call(used->api(), status, error);
    Feature row{
        feature.name != nullptr ? feature.name : "", dtype_name(feature.dtype), {}, feature.optional != 0};
    if (feature.rank >= 0 && feature.rank <= TT_MAX_RANK) {
      row.shape = std::vector<int64_t>(feature.shape, feature.shape + feature.rank);
    }
    if (feature.content == TT_IMAGE) row.color_layout = layout_name(feature.color_layout);
    rows.push_back(std::move(row));
  }
  return rows;
}

py::str metadata(const Model& model) {
  const auto used = model.use();
  char* value = nullptr;
  {
    const GilReleased released;
    value = used->api().model_metadata(used->model);
  }
  return take_text(used->api(), value);
}

/** The inputs of one call: views, and what they point to. */
struct Inputs {
  std::vector<std::string> names;
  std::vector<py::array> arrays;
  std::vector<tt_tensor> tensors;
};

Inputs take_inputs(const py::dict& values) {
  Inputs inputs;
  // Views point to the names: no reallocation after the first.
  inputs.names.reserve(values.size());
  inputs.arrays.reserve(values.size());
  for (const auto& [key, value] : values) {
    if (!py::isinstance<py::str>(key)) {
      raise_invalid("input names are strings, got " + std::string(py::repr(key)));
    }
    inputs.names.push_back(key.cast<std::string>());
    if (inputs.names.back().find('\0') != std::string::npos)
      raise_invalid("an input's name holds a NUL character");
    if (!py::isinstance<py::array>(value)) {
      raise_invalid("input \"" + inputs.names.back() + "\" is a " +
                    std::string(py::str(py::type::handle_of(value).attr("__name__"))) +
                    ", expected a numpy array");
    }
    inputs.arrays.push_back(py::reinterpret_borrow<py::array>(value));
    inputs.tensors.push_back(view(inputs.names.back(), inputs.arrays.back()));
  }
  return inputs;
}

std::unique_ptr<State> make_state(const Model& model, const Function& function) {
  const auto used = model.use();
  check_function(model, function);
  tt_state* state = nullptr;
  char* error = nullptr;
  tt_status status = TT_OK;
  {
    const GilReleased released;  // it may wait for the predict of another thread
    status = used->api().state_new(used->model, pointer(function), &state, &error);
  }
  if (status != TT_OK) raise_call(used->api(), status, error);
  return std::make_unique<State>(used, state);
}

tt_tensor state_tensor(const LoadedModel& model, const State::Use& use, const std::string& name) {
  tt_tensor tensor = {};
  char* error = nullptr;
  const tt_api& api = model.api();
  const tt_status status = api.state_tensor(use.get(), name.c_str(), &tensor, &error);
  if (status != TT_OK) raise_call(api, status, error);
  return tensor;
}

py::array read_state(State& state, const std::string& name) {
  const State::Use use(&state);
  return py::module_::import("numpy").attr("array")(borrowed(state_tensor(state.model(), use, name)));
}

void write_state(State& state, const std::string& name, const py::array& values) {
  const State::Use use(&state);
  py::array target = borrowed(state_tensor(state.model(), use, name));
  if (!target.dtype().equal(values.dtype()) || target.ndim() != values.ndim() ||
      !std::equal(target.shape(), target.shape() + target.ndim(), values.shape())) {
    raise_invalid("state \"" + name + "\" is " + py::str(target.dtype()).cast<std::string>() + " " +
                  py::str(target.attr("shape")).cast<std::string>() + ", got " +
                  py::str(values.dtype()).cast<std::string>() + " " +
                  py::str(values.attr("shape")).cast<std::string>());
  }
  target[py::ellipsis()] = values;
}

/** Who is asked while a predict runs: Python's signal handlers, and the caller's own function if there is
 * one. */
struct Watcher {
  py::object progress;
  std::exception_ptr error;
  bool stopped = false;
};

/** The C ABI's progress function: on the thread that called predict, which has let go of the GIL. */
int32_t watch(void* context, double fraction) {
  auto& watcher = *static_cast<Watcher*>(context);
  if (watcher.stopped) return 1;
  const GilHeld held;
  try {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (watcher.progress.is_none()) return 0;
    watcher.stopped = watcher.progress(fraction).is(py::bool_(false));
  } catch (...) {
    watcher.error = std::current_exception();
    watcher.stopped = true;
  }
  return watcher.stopped ? 1 : 0;
}

py::dict predict(const Model& model, const py::dict& values, const Function& function, State* state,
                 const py::object& progress, bool interruptible, const py::object& statistics) {
  const auto used = model.use();
  check_function(model, function);
  const Inputs inputs = take_inputs(values);
  tt_predict_options options = {};
  options.size = sizeof(options);
  options.function = pointer(function);
  const State::Use use(state);
  options.state = use.get();
  Watcher watcher{progress, nullptr};
  options.collect_statistics = statistics.is_none() ? 0 : 1;
  if (!progress.is_none() || interruptible) {
    options.progress = watch;
    options.progress_context = &watcher;
  }
  tt_result* raw = nullptr;
  char* error = nullptr;
  tt_status status = TT_OK;
  {
    const GilReleased released;
    status = used->api().predict(used->model, &options, inputs.tensors.data(), inputs.tensors.size(), &raw,
                                 &error);
  }
  if (watcher.error) {
    if (error != nullptr) used->api().string_free(error);
    used->api().result_free(raw);
    std::rethrow_exception(watcher.error);
  }
  if (status != TT_OK) raise_call(used->api(), status, error);
  if (raw == nullptr) raise_status(TT_ERROR_RUNTIME, "the runtime returned no result");
  const auto result = std::make_shared<Result>(used->runtime, raw);
  if (options.collect_statistics != 0) {
    char* json = used->api().result_statistics(raw);
    if (json != nullptr) statistics.attr("append")(take_text(used->api(), json));
  }
  py::dict outputs;
  for (size_t i = 0; i < used->api().result_count(raw); ++i) {
    auto [name, array] = output(result, i);
    outputs[name] = array;
  }
  return outputs;
}

}  // namespace

void init_model(py::module_& m) {
  py::class_<Feature>(m, "Feature", "What a model says of one input, output or state.")
      .def_property_readonly("name", [](const Feature& self) { return text(self.name); })
      .def_readonly("dtype", &Feature::dtype)
      .def_property_readonly("shape",
                             [](const Feature& self) -> py::object {
                               return self.shape ? py::object(py::tuple(py::cast(*self.shape))) : py::none();
                             })
      .def_readonly("optional", &Feature::optional)
      .def_readonly("color_layout", &Feature::color_layout);

  py::class_<State>(m, "State", "What a model keeps between predicts.")
      .def("read", &read_state, py::arg("name"), "A copy of one state's values.")
      .def("write", &write_state, py::arg("name"), py::arg("values"), "Replace one state's values.");

  py::class_<Model>(m, "Model", "A loaded model. It may be used from several threads at once.")
      .def_static("load", &load, py::arg("runtime"), py::arg("path"), py::arg("units") = 0,
                  py::arg("cache_folder") = py::none(), "Load a package; the GIL is released meanwhile.")
      .def("functions", &functions, "Names of the functions, the default one first.")
      .def(
          "inputs", [](const Model& self, const Function& f) { return features(self, TT_INPUT, f); },
          py::arg("function") = py::none())
      .def(
          "outputs", [](const Model& self, const Function& f) { return features(self, TT_OUTPUT, f); },
          py::arg("function") = py::none())
      .def(
          "states", [](const Model& self, const Function& f) { return features(self, TT_STATE, f); },
          py::arg("function") = py::none())
      .def("metadata", &metadata, "JSON about the model.")
      .def("make_state", &make_state, py::arg("function") = py::none(), "A state, all zeros.")
      .def("predict", &predict, py::arg("inputs"), py::arg("function") = py::none(),
           py::arg("state") = nullptr, py::arg("progress") = py::none(), py::arg("interruptible") = false,
           py::arg("statistics") = py::none(),
           "Run one function on a dict of numpy arrays; the GIL is released meanwhile.\n\n"
           "The returned arrays own the runtime's memory: nothing is copied.")
      .def("close", &Model::close, "Free the model. Calls in progress finish first; later ones raise.")
      .def_property_readonly("closed", &Model::closed);
}

}  // namespace tintype
