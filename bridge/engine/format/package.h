#pragma once

#include <map>
#include <memory>
#include <string>

#include "format/blob.h"
#include "program/program.h"

namespace tintype {

/*
 * NAME.mlpackage/
 *   Manifest.json                      {"fileFormatVersion", "itemInfoEntries": {id: {"path", …}},
 *                                       "rootModelIdentifier": id}
 *   Data/com.apple.CoreML/model.mlmodel       the item that the root identifier names
 *   Data/com.apple.CoreML/weights/weight.bin  found through the program: "@model_path/weights/weight.bin"
 */
class Package {
 public:
  /** Opens a package's folder and reads its model; weights are mapped when first asked for. */
  static Package open(const std::string& path);

  /** A package whose files are in memory: model.mlmodel, and weight files by the names that programs use. */
  static Package in_memory(std::span<const uint8_t> model,
                           const std::map<std::string, std::shared_ptr<const MappedFile>>& weights);

  Specification specification;

  /** The mapped blob of a literal that lies in a file; TT_ERROR_FORMAT if it does not fit there. */
  Blob blob(const Literal& literal, const std::string& place);

  /** The file that holds the literal's bytes, to keep them mapped. */
  std::shared_ptr<const MappedFile> file_of(const Literal& literal);

  /** Refuses if a weight file has been cut short since it was mapped. */
  void require_whole() const;

  /** Bytes of all weight files mapped so far. */
  uint64_t weight_bytes() const;

 private:
  BlobFile& blob_file(const std::string& name);

  std::string model_folder_;
  std::map<std::string, BlobFile> files_;
};

}  // namespace tintype
