#include "format/package.h"

#include <sys/stat.h>

#include "support/error.h"
#include "support/json.h"

namespace tintype {

namespace {

bool is_folder(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool exists(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0;
}

// A package may only name files inside itself.
bool stays_inside(const std::string& relative) {
  if (relative.empty() || relative.front() == '/') return false;
  for (size_t start = 0; start <= relative.size();) {
    size_t end = std::min(relative.find('/', start), relative.size());
    if (relative.substr(start, end - start) == "..") return false;
    start = end + 1;
  }
  return true;
}

[[noreturn]] void refuse_manifest(const std::string& problem, const std::string& got) {
  refuse(TT_ERROR_FORMAT, {"Manifest.json", problem, got, "", "Convert or download the package again."});
}

std::string read_root_model(const std::string& folder) {
  auto file = MappedFile::open(folder + "/Manifest.json", "Manifest.json");
  auto bytes = file->bytes();
  constexpr size_t kLargest = 1 << 20;
  if (bytes.size() > kLargest)
    refuse_manifest("the file is too large", std::to_string(bytes.size()) + " bytes");
  auto manifest = Json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "Manifest.json");
  std::string root = manifest.string_at("rootModelIdentifier");
  const Json* items = manifest.find("itemInfoEntries");
  const Json* item = items ? items->find(root) : nullptr;
  if (!item) refuse_manifest("rootModelIdentifier names no item", quoted(root));
  std::string path = item->string_at("path");
  if (!stays_inside(path)) refuse_manifest("the model's path does not lie in the package", quoted(path));
  return folder + "/Data/" + path;
}

}  // namespace

Package Package::open(const std::string& path) {
  if (!exists(path)) {
    refuse(TT_ERROR_IO, {"", "no package at " + quoted(path, kLongestPath), "", "", "Check the path."});
  }
  if (!is_folder(path) || !exists(path + "/Manifest.json")) {
    refuse(TT_ERROR_FORMAT, {"", quoted(path, kLongestPath) + " is not an .mlpackage",
                             is_folder(path) ? "a folder without Manifest.json" : "a file",
                             "a folder with a Manifest.json", "Give the path of the package itself."});
  }
  Package package;
  std::string model = read_root_model(path);
  auto file = MappedFile::open(model, "model.mlmodel");
  package.specification = parse_specification(file->bytes());
  package.model_folder_ = model.substr(0, model.rfind('/'));
  return package;
}

Package Package::in_memory(std::span<const uint8_t> model,
                           const std::map<std::string, std::shared_ptr<const MappedFile>>& weights) {
  Package package;
  package.specification = parse_specification(model);
  for (const auto& [name, file] : weights) package.files_.emplace(name, BlobFile(file));
  return package;
}

BlobFile& Package::blob_file(const std::string& name) {
  if (auto found = files_.find(name); found != files_.end()) return found->second;
  constexpr std::string_view kPrefix = "@model_path/";
  if (name.rfind(kPrefix, 0) != 0 || !stays_inside(name.substr(kPrefix.size()))) {
    refuse(TT_ERROR_FORMAT, {"model.mlmodel", "a weight file does not lie in the package", quoted(name),
                             "\"@model_path/weights/weight.bin\"", "Convert or download the package again."});
  }
  std::string path = model_folder_ + "/" + name.substr(kPrefix.size());
  if (!exists(path)) {
    refuse(TT_ERROR_FORMAT, {"model.mlmodel", "a weight file is missing", quoted(name), "",
                             "Convert or download the package again."});
  }
  return files_.emplace(name, BlobFile(MappedFile::open(path, "weight.bin"))).first->second;
}

Blob Package::blob(const Literal& literal, const std::string& place) {
  Blob blob = blob_file(literal.file_name).at(literal.file_offset);
  const TensorType& type = literal.type.tensor;
  // Bools are stored as bytes, and a byte may stand for either signedness of the program's type.
  bool same = blob.dtype == type.dtype || (type.dtype == DType::kBool && bits_of(blob.dtype) == 8);
  if (!same) {
    refuse(TT_ERROR_FORMAT, {place, "its weight in the file has another dtype", name_of(blob.dtype),
                             name_of(type.dtype), "Convert or download the package again."});
  }
  int64_t expected = type.elements();
  int64_t slack = bits_of(type.dtype) < 8 ? 8 / bits_of(type.dtype) : 0;
  if (blob.elements < expected || blob.elements > expected + slack) {
    refuse(TT_ERROR_FORMAT,
           {place, "its weight in the file has another size", std::to_string(blob.elements) + " elements",
            std::to_string(expected) + " of " + describe(type), "Convert or download the package again."});
  }
  return blob;
}

std::shared_ptr<const MappedFile> Package::file_of(const Literal& literal) {
  return blob_file(literal.file_name).file();
}

void Package::require_whole() const {
  for (const auto& [name, file] : files_) file.file()->require_whole();
}

uint64_t Package::weight_bytes() const {
  uint64_t total = 0;
  for (const auto& [name, file] : files_) total += file.file()->bytes().size();
  return total;
}

}  // namespace tintype
