// Handles that are freed while somebody uses them, and callers that do what C cannot.
#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "check.h"
#include "package_writer.h"
#include "tintype.h"

using namespace writer;

namespace {

const tt_api* api = tintype_engine_api(TT_ABI_VERSION);

tt_model* load(const std::string& path) {
  tt_model* model = nullptr;
  api->model_load(path.c_str(), nullptr, &model, nullptr);
  return model;
}

tt_tensor input(void* data) {
  return {"x", data, TT_FLOAT32, 2, {2, 3}, {3, 1}};
}

struct Outcome {
  tt_status status;
  float first = 0;
};

Outcome predict(tt_model* model, const tt_predict_options* options, void* data) {
  tt_tensor x = input(data), y{};
  tt_result* result = nullptr;
  Outcome outcome{api->predict(model, options, &x, 1, &result, nullptr)};
  if (outcome.status == TT_OK && api->result_tensor(result, 0, &y, nullptr) == TT_OK)
    outcome.first = static_cast<float*>(y.data)[0];
  api->result_free(result);
  return outcome;
}

tt_predict_options options_of(tt_progress progress, void* context) {
  tt_predict_options options{};
  options.size = sizeof options;
  options.progress = progress;
  options.progress_context = context;
  return options;
}

int32_t free_model(void* context, double) {
  auto** model = static_cast<tt_model**>(context);
  api->model_free(*model);
  *model = nullptr;
  return 0;
}

int32_t throw_up(void*, double) {
  throw std::runtime_error("thrown by the caller");
}

float data[6] = {1, 2, 3, 4, 5, 6};

}  // namespace

TEST(a_model_freed_by_its_own_predict_ends_after_it) {
  Package package(sample_model(), sample_weights());
  tt_model* model = load(package.path());
  auto options = options_of(free_model, &model);
  Outcome outcome = predict(model, &options, data);
  CHECK(outcome.status == TT_OK && outcome.first == 2);
  CHECK(model == nullptr);
}

TEST(a_progress_function_that_throws_cancels) {
  Package package(sample_model(), sample_weights());
  tt_model* model = load(package.path());
  auto options = options_of(throw_up, nullptr);
  CHECK(predict(model, &options, data).status == TT_ERROR_CANCELLED);
  CHECK(predict(model, nullptr, data).first == 2);
  api->model_free(model);
}

TEST(data_at_any_address_is_read) {
  Package package(sample_model(), sample_weights());
  tt_model* model = load(package.path());
  std::vector<char> bytes(sizeof data + 1);
  std::memcpy(bytes.data() + 1, data, sizeof data);
  Outcome outcome = predict(model, nullptr, bytes.data() + 1);
  CHECK(outcome.status == TT_OK && outcome.first == 2);
  api->model_free(model);
}

namespace {

/** How many of the calls `is_right(thread, round)` that several threads make at once are false. */
template <typename Call>
int count_wrong(int threads, int rounds, const Call& is_right) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      for (int round = 0; round < rounds; ++round) {
        if (!is_right(i, round)) ++wrong;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  return wrong;
}

}  // namespace

TEST(models_come_and_go_while_others_predict) {
  Package package(sample_model(), sample_weights());
  tt_model* shared = load(package.path());
  int wrong = count_wrong(4, 50, [&](int i, int) {
    tt_model* own = load(package.path());
    bool right = predict(i % 2 ? shared : own, nullptr, data).first == 2;
    api->model_free(own);
    return right;
  });
  CHECK(wrong == 0);
  api->model_free(shared);
}

namespace {

/** Answers "stop" at the call that the context counts down to. */
int32_t stop_at(void* context, double) {
  return --*static_cast<int*>(context) < 0 ? 1 : 0;
}

}  // namespace

TEST(a_storm_of_cancelled_predicts_leaves_the_model_as_it_was) {
  Package package(sample_model(), sample_weights());
  tt_model* model = load(package.path());
  int wrong = count_wrong(8, 100, [&](int i, int round) {
    int left = (i + round) % 3;
    auto options = options_of(stop_at, &left);
    Outcome outcome = predict(model, &options, data);
    return outcome.status == TT_ERROR_CANCELLED || (outcome.status == TT_OK && outcome.first == 2);
  });
  CHECK(wrong == 0);
  CHECK(predict(model, nullptr, data).first == 2);
  api->model_free(model);
}

namespace {

/** y = (2 x)^3 - 2 x; pow, an op of MLX, keeps its constant from the first call on. */
std::string model_with_memory() {
  Message wide = tensor_type(kFloat32, {2, 3}), one = tensor_type(kFloat32, {});
  return model({constant("two", floats_value({2}, {}), one), constant("three", floats_value({3}, {}), one),
                operation("mul", "m", {{"x", "x"}, {"y", "two"}}, wide),
                operation("pow", "p", {{"x", "m"}, {"y", "three"}}, wide),
                operation("sub", "y", {{"x", "p"}, {"y", "m"}}, wide)},
               "y");
}

struct Numbers {
  float of[6] = {};
  bool operator==(const Numbers& other) const { return std::memcmp(of, other.of, sizeof of) == 0; }
};

Numbers compute(tt_model* model, int seed) {
  Numbers x, y;
  for (int i = 0; i < 6; ++i) x.of[i] = 0.37f * static_cast<float>(seed + 1) + static_cast<float>(i);
  tt_tensor in = input(x.of), out{};
  tt_result* result = nullptr;
  if (api->predict(model, nullptr, &in, 1, &result, nullptr) == TT_OK &&
      api->result_tensor(result, 0, &out, nullptr) == TT_OK)
    std::memcpy(y.of, out.data, sizeof y.of);
  api->result_free(result);
  return y;
}

}  // namespace

// Such calls run on their callers' threads, in the engine's place; their first ones meet here.
TEST(small_predicts_of_many_threads_give_what_each_gives_alone) {
  constexpr int kThreads = 6;
  Package sample(sample_model(), sample_weights()), memory(model_with_memory(), "");
  const std::string paths[] = {sample.path(), memory.path(), memory.path()};
  std::vector<Numbers> alone[3];
  for (int m = 0; m < 3; ++m) {
    tt_model* model = load(paths[m]);
    for (int i = 0; i < kThreads; ++i) alone[m].push_back(compute(model, i));
    api->model_free(model);
  }
  for (int once = 0; once < 10; ++once) {
    tt_model* models[] = {load(paths[0]), load(paths[1]), load(paths[2])};
    for (int used : {1, 3}) {  // one model, or several
      int wrong = count_wrong(kThreads, 20, [&](int i, int round) {
        int m = used == 1 ? 1 : (i + round) % used;
        return compute(models[m], i) == alone[m][static_cast<size_t>(i)];
      });
      CHECK(wrong == 0);
    }
    for (tt_model* model : models) api->model_free(model);
  }
}

int main() {
  return check::run_all();
}
