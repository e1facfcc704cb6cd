#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "run/model.h"

namespace fuzz {

/** Memory of weight.bin: aligned as a mapped file is, and of its exact size, so that a sanitizer sees one
 * byte too many. */
struct Freed {
  void operator()(uint8_t* bytes) const { ::operator delete(bytes, std::align_val_t{64}); }
};
using Weights = std::unique_ptr<uint8_t, Freed>;

/** A loaded package and the weights that it reads. */
struct LoadedPackage {
  Weights weights;
  std::unique_ptr<tintype::Model> model;
};

/**
 * The package that an input of kind 'p' holds, behind its first byte: four bytes of model.mlmodel's size,
 * model.mlmodel, weight.bin; without a model if the input is too short. Refuses (EngineError) what the engine
 * refuses.
 */
LoadedPackage load_package(std::span<const uint8_t> bytes);

}  // namespace fuzz
