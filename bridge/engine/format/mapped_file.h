#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace tintype {

/** A file mapped read-only for as long as somebody holds it. */
class MappedFile {
 public:
  /** Maps `path`; TT_ERROR_IO with the reason if that fails. `what` names the file in the error. */
  static std::shared_ptr<const MappedFile> open(const std::string& path, const std::string& what);

  /** Bytes in memory that outlive the object, as if they were a file's. */
  static std::shared_ptr<const MappedFile> view(std::span<const uint8_t> bytes);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }

  /** TT_ERROR_IO if the file is shorter than when it was mapped: to read what it lost would end the process.
   */
  void require_whole() const;

 private:
  MappedFile(const uint8_t* data, size_t size, int descriptor, std::string what)
      : data_(data), size_(size), descriptor_(descriptor), what_(std::move(what)) {}

  const uint8_t* data_;
  size_t size_;
  int descriptor_;  // -1: bytes in memory
  std::string what_;
};

}  // namespace tintype
