#include "package_input.h"

#include <cstring>
#include <map>
#include <string>

namespace fuzz {

using namespace tintype;

LoadedPackage load_package(std::span<const uint8_t> bytes) {
  LoadedPackage package;
  uint32_t size = 0;
  if (bytes.size() < sizeof size) return package;
  std::memcpy(&size, bytes.data(), sizeof size);
  auto rest = bytes.subspan(sizeof size);
  if (size > rest.size()) return package;
  auto weights = rest.subspan(size);
  package.weights.reset(static_cast<uint8_t*>(::operator new(weights.size(), std::align_val_t{64})));
  if (!weights.empty()) std::memcpy(package.weights.get(), weights.data(), weights.size());
  std::map<std::string, std::shared_ptr<const MappedFile>> files;
  files.emplace("@model_path/weights/weight.bin", MappedFile::view({package.weights.get(), weights.size()}));
  package.model = Model::load(Package::in_memory(rest.first(size), files));
  return package;
}

}  // namespace fuzz
