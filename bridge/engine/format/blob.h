#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "format/mapped_file.h"
#include "program/types.h"

namespace tintype {

/*
 * weights/weight.bin (MILBlob storage, version 2), little-endian:
 *
 *   0   StorageHeader   64 bytes
 *   64  per blob, each at a multiple of 64:
 *         BlobMetadata  64 bytes   the program's `offset` points here
 *         data          `size` bytes at `offset` (the metadata's place + 64)
 *
 * Sub-byte values are packed low bits first without gaps: uint4 [0, 1, 2, 3, 4] is 10 32 04, where
 * `padding_bits` counts the unused bits of the last byte (4 here).
 */
struct StorageHeader {
  uint32_t count;    // blobs in the file
  uint32_t version;  // 2
  uint64_t reserved[7];
};
static_assert(sizeof(StorageHeader) == 64);

struct BlobMetadata {
  uint32_t sentinel;      // 0xDEADBEEF
  uint32_t dtype;         // see blob.cpp
  uint64_t size;          // bytes of data
  uint64_t offset;        // of the data, from the start of the file
  uint64_t padding_bits;  // sub-byte types only
  uint64_t reserved[4];
};
static_assert(sizeof(BlobMetadata) == 64);

/** One blob's element type and bytes, inside the mapped file. */
struct Blob {
  DType dtype = DType::kUnused;
  std::span<const uint8_t> bytes;
  int64_t elements = 0;
};

/** Reads blobs out of a mapped weight file; damage is TT_ERROR_FORMAT. */
class BlobFile {
 public:
  explicit BlobFile(std::shared_ptr<const MappedFile> file);

  /** The blob whose metadata lies at `offset`; checked to lie inside the file. */
  Blob at(uint64_t offset) const;

  const std::shared_ptr<const MappedFile>& file() const { return file_; }

 private:
  std::shared_ptr<const MappedFile> file_;
};

}  // namespace tintype
