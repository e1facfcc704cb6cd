// Predict as a libFuzzer target: a package (kind 'p' of fuzz_package.cpp) that the engine accepts is run,
// every function of it, with states, images, statistics and cancelling. What a run may take is bounded: small
// inputs, a few MiB of results, a call that the progress function ends after a moment.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <vector>

#include "mlx/array.h"
#include "package_input.h"
#include "run/images.h"
#include "run/state.h"
#include "support/error.h"

using namespace tintype;

namespace {

constexpr int64_t kMostElements = 1 << 12;  // of an input or a state
constexpr uint64_t kMostBytes = 1 << 20;    // of the results that live at once
constexpr size_t kMostFunctions = 3;
constexpr int kPatience = 3;  // asked at the start and every 50 ms

bool is_small(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t size : shape) {
    if (size < 0 || size > kMostElements) return false;
    elements *= std::max<int64_t>(size, 1);
    if (elements > kMostElements) return false;
  }
  return true;
}

/** A shape that the description allows and that is no more than it must be. */
std::vector<int64_t> shape_of(const Feature& feature) {
  if (feature.image) {
    const ImageDescription& image = *feature.image;
    std::pair<int64_t, int64_t> size{std::max<int64_t>(image.width.lowest, 1),
                                     std::max<int64_t>(image.height.lowest, 1)};
    if (!image.enumerated.empty()) size = image.enumerated.front();
    bool color = image.layout == ColorLayout::kRGB || image.layout == ColorLayout::kBGR;
    return color ? std::vector<int64_t>{size.second, size.first, 3}
                 : std::vector<int64_t>{size.second, size.first};
  }
  if (!feature.enumerated.empty()) return feature.enumerated.back();
  std::vector<int64_t> shape = feature.shape;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i < feature.ranges.size()) shape[i] = feature.ranges[i].lowest;
    shape[i] = std::max<int64_t>(shape[i], 0);
  }
  return shape;
}

/** Small numbers of every sign, whatever the dtype is. */
std::vector<uint8_t> numbers(DType dtype, size_t count) {
  auto size = static_cast<size_t>(std::max(bits_of(dtype) / 8, 1));
  std::vector<uint8_t> bytes(count * size);
  constexpr float kFloats[] = {0, 1, -1, 0.5f, 3, -2.25f, 100, 1e-6f};
  constexpr uint16_t kHalves[] = {0, 0x3c00, 0xbc00, 0x3800, 0x4200, 0xc080, 0x5640, 0x0011};
  constexpr int64_t kIntegers[] = {0, 1, 2, -1, 3, 1, 0, 5};
  for (size_t i = 0; i < count; ++i) {
    double wide = kFloats[i % 8];
    const void* source = &kIntegers[i % 8];
    if (dtype == DType::kFloat16) source = &kHalves[i % 8];
    if (dtype == DType::kFloat32) source = &kFloats[i % 8];
    if (dtype == DType::kFloat64) source = &wide;
    std::memcpy(bytes.data() + i * size, source, size);
    if (dtype == DType::kBool) bytes[i] &= 1;
  }
  return bytes;
}

/** Inputs of one function, and what they point to. */
struct Inputs {
  std::vector<tt_tensor> tensors;
  std::vector<std::vector<uint8_t>> bytes;

  /** False if the function wants more than a run here may take. */
  bool fill(const LoadedFunction& function) {
    for (const Feature& feature : function.inputs) {
      if (feature.optional && is_small(feature.shape)) continue;
      std::vector<int64_t> shape = shape_of(feature);
      if (!is_small(shape) || shape.size() > TT_MAX_RANK) return false;
      DType dtype = feature.image ? image_dtype(*feature.image) : feature.dtype;
      tt_tensor tensor{
          feature.name.c_str(), nullptr, abi_dtype(dtype), static_cast<int32_t>(shape.size()), {}, {}};
      int64_t count = 1;
      for (size_t i = shape.size(); i-- > 0;) {
        tensor.shape[i] = shape[i], tensor.strides[i] = count;
        count *= shape[i];
      }
      bytes.push_back(numbers(dtype, static_cast<size_t>(count)));
      tensor.data = bytes.back().data();
      tensors.push_back(tensor);
    }
    return true;
  }
};

int32_t ask(void* times_left, double) {
  return --*static_cast<int*>(times_left) < 0 ? 1 : 0;
}

/** Every byte is read, so that a sanitizer sees memory that is none. */
void read_all(const Result& result) {
  volatile uint8_t sum = 0;
  for (const auto& tensor : result.tensors) {
    const auto* bytes = tensor.size() ? tensor.data<uint8_t>() : nullptr;
    for (size_t i = 0; bytes && i < tensor.nbytes(); ++i) sum = static_cast<uint8_t>(sum + bytes[i]);
  }
}

void write_all(State& state, const LoadedFunction& function) {
  for (const Feature& feature : function.states) {
    tt_tensor view{};
    state.view(feature.name, view);
    int64_t count = 1;
    for (int32_t axis = 0; axis < view.rank; ++axis) count *= view.shape[axis];
    std::vector<uint8_t> values = numbers(feature.dtype, static_cast<size_t>(count));
    if (count > 0) std::memcpy(view.data, values.data(), values.size());
  }
}

bool keeps_little(const LoadedFunction& function) {
  return function.states.size() <= 8 && std::all_of(function.states.begin(), function.states.end(),
                                                    [](const Feature& f) { return is_small(f.shape); });
}

/** Watched op by op; then, if that ended well, as a caller without wishes does. */
std::vector<Result> run_function(Model& model, const LoadedFunction& function, std::optional<State>& state) {
  Inputs inputs;
  if (!inputs.fill(function) || !keeps_little(function)) return {};
  if (!function.states.empty()) state.emplace(model, function);
  int times_left = kPatience;
  Request request;
  request.function = function.program->name.c_str();
  request.inputs = inputs.tensors.data(), request.count = inputs.tensors.size();
  request.state = state ? &*state : nullptr;
  request.progress = ask, request.progress_context = &times_left;
  request.collects_statistics = true;
  request.memory_limit = kMostBytes;
  std::vector<Result> results;
  results.push_back(model.predict(request));
  if (state) write_all(*state, function);
  request.progress = nullptr;
  request.collects_statistics = false;
  results.push_back(model.predict(request));
  return results;
}

void run(std::span<const uint8_t> bytes) {
  auto [weights, model] = fuzz::load_package(bytes);
  if (!model) return;
  std::vector<Result> results;
  std::vector<std::optional<State>> states(std::min(model->function_count(), kMostFunctions));
  for (size_t i = 0; i < states.size(); ++i) {
    try {
      for (Result& each : run_function(*model, model->function(i), states[i]))
        results.push_back(std::move(each));
    } catch (const EngineError&) {
    } catch (const std::bad_alloc&) {
    }
  }
  model.reset();  // results and states outlive it
  weights.reset();
  for (const Result& result : results) read_all(result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || data[0] != 'p') return 0;
  try {
    run({data + 1, size - 1});
  } catch (const EngineError&) {
  } catch (const std::bad_alloc&) {  // the C ABI's TT_ERROR_OUT_OF_MEMORY
  }
  return 0;
}
