// Everything that reads a package's bytes before anything runs, as one libFuzzer target. The first byte of an
// input says which file the rest stands for (p: a whole package, loaded until it could run); a refusal
// (EngineError) is the right answer to nearly all of them. mutate.cpp makes the inputs; fuzz_predict.cpp runs
// what is accepted.
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

#include "format/blob.h"
#include "package_input.h"
#include "program/program.h"
#include "run/images.h"
#include "support/error.h"
#include "support/json.h"

using namespace tintype;

namespace {

/** model.mlmodel: the reader, then the checker. */
void read_model(std::span<const uint8_t> bytes) {
  Specification specification = parse_specification(bytes);
  resolve_program(specification.program);
}

/** Manifest.json. */
void read_manifest(std::span<const uint8_t> bytes) {
  Json manifest = Json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "Manifest.json");
  manifest.dump();
}

/** weight.bin: the first eight bytes are the offset that a program names; every byte of the blob is read. */
void read_weights(std::span<const uint8_t> bytes) {
  uint64_t offset = 0;
  if (bytes.size() < sizeof offset) return;
  std::memcpy(&offset, bytes.data(), sizeof offset);
  Blob blob = BlobFile(MappedFile::view(bytes.subspan(sizeof offset))).at(offset);
  volatile uint8_t sum = 0;
  for (uint8_t byte : blob.bytes) sum = static_cast<uint8_t>(sum + byte);
}

void describe(const std::vector<Feature>& features) {
  for (const Feature& feature : features) {
    tt_feature described{};
    if (feature.image) describe_image(*feature.image, described);
  }
}

/** A whole package: checked, constants loaded, weights expanded, every function described. */
void read_package(std::span<const uint8_t> bytes) {
  auto [weights, model] = fuzz::load_package(bytes);
  if (!model) return;
  model->metadata().dump();
  for (size_t i = 0; i < model->function_count(); ++i) {
    const LoadedFunction& function = model->function(i);
    for (const auto* features : {&function.inputs, &function.outputs, &function.states}) describe(*features);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::span<const uint8_t> rest(data + 1, size - 1);
  try {
    if (data[0] == 'm') read_model(rest);
    if (data[0] == 'j') read_manifest(rest);
    if (data[0] == 'w') read_weights(rest);
    if (data[0] == 'p') read_package(rest);
  } catch (const EngineError&) {
  } catch (const std::bad_alloc&) {  // the C ABI's TT_ERROR_OUT_OF_MEMORY
  }
  return 0;
}
