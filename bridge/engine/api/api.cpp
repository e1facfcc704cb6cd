// The C ABI over Model: every argument is checked and every exception ends here.
#include <cstdlib>
#include <cstring>
#include <new>

#include "mlx/mlx.h"
#include "mlx/version.h"
#include "ops/call.h"
#include "run/fork.h"
#include "run/images.h"
#include "run/memory.h"
#include "run/model.h"
#include "run/process_end.h"
#include "run/state.h"
#include "support/error.h"
#include "support/json.h"
#include "tintype.h"
#include "tintype_version.h"

// Calls hold what they use: a handle that is freed meanwhile ends after them.
struct tt_model {
  std::shared_ptr<tintype::Model> model;
};

struct tt_state {
  std::shared_ptr<tintype::State> state;
};

struct tt_result {
  tintype::Result result;
};

namespace tintype {

namespace {

char* copy_string(const std::string& text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

void set_error(char** error, const char* text) {
  if (error) *error = copy_string(text);
}

/** Runs `body`; whatever it throws becomes a status and a text. */
template <typename Body>
tt_status guarded(char** error, const Body& body) noexcept {
  if (error) *error = nullptr;
  try {
    ApiCall call;
    refuse_if_forked();
    if (call.too_late()) {
      set_error(error, "The process is ending.");
      return TT_ERROR_UNAVAILABLE;
    }
    body();
    return TT_OK;
  } catch (const EngineError& e) {
    set_error(error, e.what());
    return e.status();
  } catch (const std::bad_alloc&) {
    set_error(error, "Out of memory. Close other programs or use a smaller model.");
    return TT_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception& e) {
    set_error(error, e.what());
    return status_of(e);
  } catch (...) {
    set_error(error, "The computation failed for an unknown reason.");
    return TT_ERROR_RUNTIME;
  }
}

void require(bool condition, const std::string& problem) {
  if (!condition) refuse(TT_ERROR_INVALID_ARGUMENT, {"", problem});
}

const Model& checked(const tt_model* model) {
  require(model != nullptr, "the model is NULL");
  return *model->model;
}

const std::vector<Feature>* features_of(const LoadedFunction& function, tt_feature_kind kind) {
  switch (kind) {
    case TT_INPUT:
      return &function.inputs;
    case TT_OUTPUT:
      return &function.outputs;
    case TT_STATE:
      return &function.states;
    default:
      return nullptr;
  }
}

Json describe_device() {
  Json device = Json::object();
  bool gpu = !computes_on_cpu();
  device.set("kind", Json::string(gpu ? "gpu" : "cpu"));
  for (const auto& [key, value] : mlx::core::device_info(mlx::core::default_device())) {
    if (const auto* text = std::get_if<std::string>(&value); text && is_plain_utf8(*text)) {
      if (key == "device_name") device.set("name", Json::string(*text));
    }
  }
  return device;
}

char* describe_runtime() {
  char* text = nullptr;
  guarded(nullptr, [&] {
    Json runtime = Json::object();
    runtime.set("name", Json::string("mlx"))
        .set("version", Json::string(TT_VERSION))
        .set("implementation", Json::string(std::string("Tintype's engine on MLX ") + mlx::core::version()))
        .set("device", describe_device())
        .set("compute_units", Json::array().push(Json::string(computes_on_cpu() ? "cpu" : "gpu")));
    text = copy_string(runtime.dump());
  });
  return text;
}

tt_status available(char** error) {
  return guarded(error, [] {});
}

tt_status model_load(const char* path, const tt_load_options* options, tt_model** model, char** error) {
  if (model) *model = nullptr;
  return guarded(error, [&] {
    require(path != nullptr, "the path is NULL");
    require(model != nullptr, "there is no place for the model (NULL)");
    require(!options || options->size == sizeof(tt_load_options),
            "tt_load_options has another size than this library's");
    auto handle = std::make_unique<tt_model>();
    handle->model = Model::load(Package::open(path));
    *model = handle.release();
  });
}

void model_free(tt_model* model) {
  guarded(nullptr, [&] { delete model; });
}

size_t function_count(const tt_model* model) {
  return model ? model->model->function_count() : 0;
}

const char* function_name(const tt_model* model, size_t index) {
  if (!model || index >= model->model->function_count()) return nullptr;
  return model->model->function(index).program->name.c_str();
}

size_t feature_count(const tt_model* model, const char* function, tt_feature_kind kind) {
  const LoadedFunction* found = model ? model->model->find(function) : nullptr;
  const auto* features = found ? features_of(*found, kind) : nullptr;
  return features ? features->size() : 0;
}

tt_status feature(const tt_model* model, const char* function, tt_feature_kind kind, size_t index,
                  tt_feature* feature, char** error) {
  return guarded(error, [&] {
    const LoadedFunction& found = checked(model).named(function);
    require(feature != nullptr, "there is no place for the feature (NULL)");
    const auto* features = features_of(found, kind);
    require(features != nullptr, "unknown feature kind " + std::to_string(kind));
    require(index < features->size(), "feature " + std::to_string(index) + " does not exist, there are " +
                                          std::to_string(features->size()));
    const Feature& source = (*features)[index];
    *feature = tt_feature{};
    feature->name = source.name.c_str();
    feature->dtype = abi_dtype(source.dtype);
    feature->rank = static_cast<int32_t>(source.shape.size());
    for (size_t i = 0; i < source.shape.size(); ++i) feature->shape[i] = source.shape[i];
    feature->optional = source.optional ? 1 : 0;
    if (source.image) describe_image(*source.image, *feature);
  });
}

char* model_metadata(const tt_model* model) {
  char* text = nullptr;
  guarded(nullptr, [&] { text = copy_string(checked(model).metadata().dump()); });
  return text;
}

tt_status predict(tt_model* model, const tt_predict_options* options, const tt_tensor* inputs, size_t count,
                  tt_result** result, char** error) {
  if (result) *result = nullptr;
  return guarded(error, [&] {
    require(model != nullptr, "the model is NULL");
    std::shared_ptr<Model> used = model->model;
    require(result != nullptr, "there is no place for the result (NULL)");
    require(inputs != nullptr || count == 0, "the inputs are NULL");
    require(!options || options->size == sizeof(tt_predict_options),
            "tt_predict_options has another size than this library's");
    auto handle = std::make_unique<tt_result>();
    std::shared_ptr<State> state;
    Request request;
    request.inputs = inputs;
    request.count = count;
    if (options) {
      request.function = options->function;
      if (options->state) state = options->state->state;
      request.state = state.get();
      request.progress = options->progress;
      request.progress_context = options->progress_context;
      request.collects_statistics = options->collect_statistics != 0;
    }
    handle->result = used->predict(request);
    *result = handle.release();
  });
}

size_t result_count(const tt_result* result) {
  return result ? result->result.tensors.size() : 0;
}

tt_status result_tensor(const tt_result* result, size_t index, tt_tensor* tensor, char** error) {
  return guarded(error, [&] {
    require(result != nullptr, "the result is NULL");
    require(tensor != nullptr, "there is no place for the tensor (NULL)");
    const Result& source = result->result;
    require(index < source.tensors.size(), "output " + std::to_string(index) + " does not exist, there are " +
                                               std::to_string(source.tensors.size()));
    const auto& x = source.tensors[index];
    static char nothing[16];  // what an empty tensor points at
    *tensor = row_contiguous_tensor(x.size() ? x.data<char>() : nothing, x.shape());
    tensor->name = source.names[index].c_str();
    tensor->dtype = abi_dtype(source.dtypes[index]);
  });
}

void result_free(tt_result* result) {
  guarded(nullptr, [&] { delete result; });
}

void string_free(char* string) {
  std::free(string);
}

tt_status state_new(tt_model* model, const char* function, tt_state** state, char** error) {
  if (state) *state = nullptr;
  return guarded(error, [&] {
    const Model& source = checked(model);
    require(state != nullptr, "there is no place for the state (NULL)");
    *state = new tt_state{std::make_shared<State>(source, source.named(function))};
  });
}

void state_free(tt_state* state) {
  guarded(nullptr, [&] { delete state; });
}

tt_status state_tensor(tt_state* state, const char* name, tt_tensor* tensor, char** error) {
  return guarded(error, [&] {
    require(state != nullptr, "the state is NULL");
    require(name != nullptr, "the name is NULL");
    require(tensor != nullptr, "there is no place for the tensor (NULL)");
    std::shared_ptr<State> used = state->state;
    State::Use use(used.get());
    used->view(name, *tensor);
  });
}

char* result_statistics(const tt_result* result) {
  if (!result || !result->result.statistics) return nullptr;
  char* text = nullptr;
  guarded(nullptr, [&] { text = copy_string(result->result.statistics->dump()); });
  return text;
}

tt_status compute_plan(const char* path, const tt_load_options*, char** json, char** error) {
  if (json) *json = nullptr;
  return guarded(error, [&] {
    require(path != nullptr, "the path is NULL");
    require(json != nullptr, "there is no place for the plan (NULL)");
    refuse(TT_ERROR_UNSUPPORTED,
           {"", "only Core ML plans where ops run; the engine runs all of them on one device"});
  });
}

tt_status verdict_file(const char* path, const tt_load_options*, char** file, char** error) {
  if (file) *file = nullptr;
  return guarded(error, [&] {
    require(path != nullptr, "the path is NULL");
    require(file != nullptr, "there is no place for the file's path (NULL)");
    refuse(TT_ERROR_UNSUPPORTED,
           {"", "the engine is not left for another backend, so nothing is kept of it"});
  });
}

constexpr tt_api kApi = {
    TT_ABI_VERSION,    sizeof(tt_api), "mlx",          describe_runtime, available,
    model_load,        model_free,     function_count, function_name,    feature_count,
    feature,           model_metadata, predict,        result_count,     result_tensor,
    result_free,       string_free,    state_new,      state_free,       state_tensor,
    result_statistics, compute_plan,   verdict_file,
};

}  // namespace

}  // namespace tintype

extern "C" TT_EXPORT const tt_api* tintype_engine_api(uint32_t abi_version) {
  return abi_version == TT_ABI_VERSION ? &tintype::kApi : nullptr;
}
