#include <cmath>
#include <thread>

#include "check.h"
#include "package_writer.h"
#include "tintype.h"

using namespace writer;

namespace {

const tt_api* api = tintype_engine_api(TT_ABI_VERSION);

std::string take(char* text) {
  std::string copy = text ? text : "";
  api->string_free(text);
  return copy;
}

/** A model that frees itself. */
struct Model {
  explicit Model(const std::string& path) {
    status = api->model_load(path.c_str(), nullptr, &handle, &error);
  }
  ~Model() {
    api->model_free(handle);
    api->string_free(error);
  }
  tt_model* handle = nullptr;
  char* error = nullptr;
  tt_status status;
};

tt_tensor input(float* data) {
  return {"x", data, TT_FLOAT32, 2, {2, 3}, {3, 1}};
}

/** Status and error text of a predict; the first output's values on success. */
struct Prediction {
  tt_status status;
  std::string error;
  std::vector<float> values;
};

Prediction predict(tt_model* model, const tt_tensor* inputs, size_t count) {
  tt_result* result = nullptr;
  char* error = nullptr;
  Prediction prediction{api->predict(model, nullptr, inputs, count, &result, &error), "", {}};
  prediction.error = take(error);
  tt_tensor output{};
  if (api->result_tensor(result, 0, &output, nullptr) == TT_OK && output.dtype == TT_FLOAT32) {
    size_t size = 1;
    for (int i = 0; i < output.rank; ++i) size *= static_cast<size_t>(output.shape[i]);
    auto* data = static_cast<float*>(output.data);
    prediction.values.assign(data, data + size);
  }
  api->result_free(result);
  return prediction;
}

}  // namespace

TEST(speaks_one_abi_version) {
  CHECK(api != nullptr && api->abi_version == TT_ABI_VERSION && api->size == sizeof(tt_api));
  CHECK(tintype_engine_api(TT_ABI_VERSION + 1) == nullptr);
  CHECK_EQ(api->name, "mlx");
  CHECK(api->available(nullptr) == TT_OK);
  CHECK(take(api->describe_runtime()).find("\"name\": \"mlx\"") != std::string::npos);
}

TEST(describes_and_runs_a_model) {
  Package package(sample_model(), sample_weights());
  Model model(package.path());
  CHECK_EQ(model.error ? model.error : "", "");
  CHECK(api->function_count(model.handle) == 1);
  CHECK_EQ(api->function_name(model.handle, 0), "main");
  tt_feature feature{};
  CHECK(api->feature(model.handle, nullptr, TT_INPUT, 0, &feature, nullptr) == TT_OK);
  CHECK(feature.dtype == TT_FLOAT32 && feature.rank == 2 && feature.shape[1] == 3 && !feature.optional);
  CHECK(api->feature(model.handle, "main", TT_OUTPUT, 0, &feature, nullptr) == TT_OK && feature.rank == 2);
  CHECK_EQ(
      take(api->model_metadata(model.handle)),
      R"({"specification_version": 8, "functions": {"main": {"opset": "CoreML7", "ops": {"add": 1, "const": 2, "mul": 1}, "fused": {}}}, )"
      R"("parameters": 3, "weight_bytes": 140, "metadata": {}})");
  float data[] = {1, 2, 3, 4, 5, 6};
  tt_tensor x = input(data);
  Prediction got = predict(model.handle, &x, 1);
  CHECK((got.values == std::vector<float>{2, 21, 301, 5, 51, 601}));
}

TEST(takes_any_strides) {
  Package package(sample_model(), sample_weights());
  Model model(package.path());
  std::vector<float> expected = {2, 21, 301, 5, 51, 601};
  float columns[] = {1, 4, 2, 5, 3, 6}, padded[] = {1, 2, 3, -1, 4, 5, 6, -1},
        backwards[] = {6, 5, 4, 3, 2, 1};
  tt_tensor x = {"x", columns, TT_FLOAT32, 2, {2, 3}, {1, 2}};
  CHECK(predict(model.handle, &x, 1).values == expected);
  x = {"x", padded, TT_FLOAT32, 2, {2, 3}, {4, 1}};
  CHECK(predict(model.handle, &x, 1).values == expected);
  x = {"x", backwards + 5, TT_FLOAT32, 2, {2, 3}, {-3, -1}};
  CHECK(predict(model.handle, &x, 1).values == expected);
}

TEST(results_outlive_inputs_and_model) {
  // An output that is the input itself must not point into the caller's memory.
  Package package(model({operation("identity", "y", {{"x", "x"}}, tensor_type(kFloat32, {2, 3}))}, "y"), "");
  auto loaded = std::make_unique<Model>(package.path());
  auto data = std::make_unique<std::vector<float>>(std::vector<float>{1, 2, 3, 4, 5, 6});
  tt_tensor x = input(data->data()), output{};
  tt_result* result = nullptr;
  CHECK(api->predict(loaded->handle, nullptr, &x, 1, &result, nullptr) == TT_OK);
  CHECK(api->result_tensor(result, 0, &output, nullptr) == TT_OK && output.data != x.data);
  std::fill(data->begin(), data->end(), -1.0f);
  loaded.reset();
  CHECK(static_cast<float*>(output.data)[5] == 6 && output.strides[0] == 3);
  api->result_free(result);
}

TEST(misuse_is_an_error_and_never_a_crash) {
  Package package(sample_model(), sample_weights());
  Model model(package.path());
  float data[6] = {};
  tt_tensor x = input(data);
  tt_result* result = nullptr;
  tt_model* none = nullptr;
  tt_feature feature{};
  tt_load_options load{1, 0, nullptr};
  tt_predict_options run{};
  run.size = 1;
  CHECK(api->model_load(nullptr, nullptr, &none, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->model_load("x", nullptr, nullptr, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->model_load(package.path().c_str(), &load, &none, nullptr) == TT_ERROR_INVALID_ARGUMENT && !none);
  CHECK(api->predict(nullptr, nullptr, &x, 1, &result, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->predict(model.handle, nullptr, nullptr, 1, &result, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->predict(model.handle, nullptr, &x, 1, nullptr, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->predict(model.handle, &run, &x, 1, &result, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature(nullptr, nullptr, TT_INPUT, 0, &feature, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature(model.handle, nullptr, TT_INPUT, 9, &feature, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature(model.handle, nullptr, 77, 0, &feature, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature(model.handle, "nope", TT_INPUT, 0, &feature, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature(model.handle, nullptr, TT_INPUT, 0, nullptr, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  CHECK(api->feature_count(nullptr, nullptr, TT_INPUT) == 0 &&
        api->feature_count(model.handle, "nope", TT_INPUT) == 0);
  CHECK(api->function_count(nullptr) == 0 && api->function_name(nullptr, 0) == nullptr);
  CHECK(api->function_name(model.handle, 5) == nullptr && api->model_metadata(nullptr) == nullptr);
  CHECK(api->result_count(nullptr) == 0);
  CHECK(api->result_tensor(nullptr, 0, &x, nullptr) == TT_ERROR_INVALID_ARGUMENT);
  api->model_free(nullptr);
  api->result_free(nullptr);
  api->string_free(nullptr);
}

TEST(refuses_wrong_inputs) {
  Package package(sample_model(), sample_weights());
  Model model(package.path());
  float data[12] = {};
  tt_tensor x = input(data);
  CHECK_EQ(predict(model.handle, nullptr, 0).error, "[input \"x\"] it is missing. The model needs \"x\".");
  x.dtype = TT_INT32;
  CHECK_EQ(predict(model.handle, &x, 1).error,
           "[input \"x\"] wrong dtype, got int32, expected float32. Convert the array to float32.");
  x = input(data), x.dtype = 1234;
  CHECK_EQ(predict(model.handle, &x, 1).error,
           "[input \"x\"] wrong dtype, got dtype 1234, expected float32. Convert the array to float32.");
  x = input(data), x.shape[0] = 4;
  CHECK_EQ(predict(model.handle, &x, 1).error,
           "[input \"x\"] wrong shape, got [4, 3], expected [2, 3]. Reshape the array, or convert the model "
           "for this shape.");
  x = input(data), x.rank = 99;
  CHECK_EQ(predict(model.handle, &x, 1).error, "[input \"x\"] impossible rank, got 99, expected 0 to 8.");
  x = input(data), x.shape[0] = -2;
  CHECK(predict(model.handle, &x, 1).status == TT_ERROR_INVALID_ARGUMENT);
  x = input(nullptr);
  CHECK_EQ(predict(model.handle, &x, 1).error, "[input \"x\"] its data is NULL.");
  x = input(data), x.name = "z";
  CHECK_EQ(predict(model.handle, &x, 1).error, "[input \"z\"] the model has no such input, expected \"x\".");
  x.name = nullptr;
  CHECK_EQ(predict(model.handle, &x, 1).error, "input 0 has no name, expected \"x\".");
  tt_tensor twice[] = {input(data), input(data)};
  CHECK_EQ(predict(model.handle, twice, 2).error, "[input \"x\"] it is given twice.");
  tt_predict_options options{};
  options.size = sizeof options;
  options.function = "other";
  char* error = nullptr;
  tt_result* result = nullptr;
  x = input(data);
  CHECK(api->predict(model.handle, &options, &x, 1, &result, &error) == TT_ERROR_INVALID_ARGUMENT);
  CHECK_EQ(take(error), "no function \"other\", expected \"main\". Name one of them or none.");
}

TEST(refuses_paths_that_hold_no_package) {
  Model missing("/no/such.mlpackage");
  CHECK(missing.status == TT_ERROR_IO);
  CHECK_EQ(missing.error, "no package at \"/no/such.mlpackage\". Check the path.");
  Package package(sample_model(), sample_weights());
  Model file(package.path() + "/Manifest.json");
  CHECK(file.status == TT_ERROR_FORMAT);
  package.write_manifest(
      R"({"itemInfoEntries": {"A": {"path": "../../etc/passwd"}}, "rootModelIdentifier": "A"})");
  Model outside(package.path());
  CHECK_EQ(outside.error,
           "[Manifest.json] the model's path does not lie in the package, got \"../../etc/passwd\". "
           "Convert or download the package again.");
}

TEST(refuses_truncated_weights) {
  Package package(sample_model(), sample_weights());
  for (size_t size = 0; size < sample_weights().size(); ++size) {
    package.write_weights(sample_weights().substr(0, size));
    Model model(package.path());
    CHECK(model.status == TT_ERROR_FORMAT && std::string(model.error).rfind("[weight.bin] ", 0) == 0);
  }
  std::filesystem::remove(package.data() / "weights/weight.bin");
  Model model(package.path());
  CHECK_EQ(model.error,
           "[model.mlmodel] a weight file is missing, got \"@model_path/weights/weight.bin\". "
           "Convert or download the package again.");
}

TEST(survives_truncated_models) {
  Package package(sample_model(), sample_weights());
  for (size_t size = 0; size < sample_model().size(); ++size) {
    package.write_model(sample_model().substr(0, size));
    Model model(package.path());
    CHECK(model.status == TT_ERROR_FORMAT || model.status == TT_ERROR_UNSUPPORTED);
    CHECK(model.error != nullptr && *model.error);
  }
}

TEST(survives_every_flipped_bit) {
  // Each must load or be refused with a text; what loads must run or be refused.
  Package package(sample_model(), sample_weights());
  float data[6] = {1, 2, 3, 4, 5, 6};
  tt_tensor x = input(data);
  std::string good = sample_model();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    package.write_model(damaged);
    Model model(package.path());
    if (model.status != TT_OK)
      CHECK(model.error != nullptr && *model.error);
    else
      predict(model.handle, &x, 1);
  }
  std::string weights = sample_weights();
  package.write_model(good);
  for (size_t bit = 0; bit < 128 * 8; ++bit) {
    std::string damaged = weights;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    package.write_weights(damaged);
    Model model(package.path());
    if (model.status == TT_OK) predict(model.handle, &x, 1);
  }
}

TEST(runs_from_several_threads) {
  Package package(sample_model(), sample_weights());
  Model model(package.path());
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        float value = static_cast<float>(t * 100 + i);
        float data[] = {value, value, value, value, value, value};
        tt_tensor x = input(data);
        Prediction got = predict(model.handle, &x, 1);
        if (got.values != std::vector<float>{value + 1, value * 10 + 1, value * 100 + 1, value + 1,
                                             value * 10 + 1, value * 100 + 1})
          ++wrong[static_cast<size_t>(t)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int count : wrong) CHECK(count == 0);
}

int main() {
  return check::run_all();
}
