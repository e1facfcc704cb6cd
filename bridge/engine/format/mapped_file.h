#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

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

 private:
  MappedFile(const uint8_t* data, size_t size, bool mapped) : data_(data), size_(size), mapped_(mapped) {}

  const uint8_t* data_;
  size_t size_;
  bool mapped_;
};

}  // namespace tintype
