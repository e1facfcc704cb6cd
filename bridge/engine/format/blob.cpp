#include "format/blob.h"

#include <bit>
#include <cstring>

#include "support/error.h"

namespace tintype {

static_assert(std::endian::native == std::endian::little, "weight files are little-endian and read in place");

namespace {

constexpr uint32_t kSentinel = 0xDEADBEEF;
constexpr uint32_t kVersion = 2;

DType dtype_of_blob(uint32_t code) {
  switch (code) {
    case 1:
      return DType::kFloat16;
    case 2:
      return DType::kFloat32;
    case 3:
      return DType::kUInt8;
    case 4:
      return DType::kInt8;
    case 5:
      return DType::kBFloat16;
    case 6:
      return DType::kInt16;
    case 7:
      return DType::kUInt16;
    case 8:
      return DType::kInt4;
    case 9:
      return DType::kUInt1;
    case 10:
      return DType::kUInt2;
    case 11:
      return DType::kUInt4;
    case 12:
      return DType::kUInt3;
    case 13:
      return DType::kUInt6;
    case 14:
      return DType::kInt32;
    case 15:
      return DType::kUInt32;
    default:
      return DType::kUnused;
  }
}

[[noreturn]] void refuse_blob(const std::string& problem, const std::string& got,
                              const std::string& expected) {
  refuse(TT_ERROR_FORMAT, {"weight.bin", problem, got, expected,
                           "The file is damaged or cut short: convert or download the package again."});
}

template <typename T>
T read_struct(std::span<const uint8_t> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

}  // namespace

BlobFile::BlobFile(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {
  auto bytes = file_->bytes();
  if (bytes.size() < sizeof(StorageHeader)) {
    refuse_blob("the file is too short for its header", std::to_string(bytes.size()) + " bytes",
                std::to_string(sizeof(StorageHeader)));
  }
  auto header = read_struct<StorageHeader>(bytes, 0);
  if (header.version != kVersion) {
    refuse_blob("unknown format version", std::to_string(header.version), std::to_string(kVersion));
  }
}

Blob BlobFile::at(uint64_t offset) const {
  auto bytes = file_->bytes();
  std::string place = "byte " + std::to_string(offset);
  std::string size = std::to_string(bytes.size()) + " bytes of file";
  if (offset % 64 != 0 || offset < sizeof(StorageHeader)) {
    refuse_blob("a weight's offset is impossible", std::to_string(offset), "a multiple of 64 from 64 on");
  }
  if (offset > bytes.size() || bytes.size() - offset < sizeof(BlobMetadata)) {
    refuse_blob("a weight's description lies beyond the end", place, "less than " + size);
  }
  auto metadata = read_struct<BlobMetadata>(bytes, offset);
  if (metadata.sentinel != kSentinel)
    refuse_blob("no weight begins at " + place, "another marker", "0xDEADBEEF");
  if (metadata.offset > bytes.size() || metadata.size > bytes.size() - metadata.offset) {
    refuse_blob("the weight at " + place + " ends beyond the file",
                std::to_string(metadata.size) + " bytes from " + std::to_string(metadata.offset) + " on",
                size);
  }
  if (metadata.offset % 64 != 0) {
    refuse_blob("the weight at " + place + " is misaligned", std::to_string(metadata.offset),
                "a multiple of 64");
  }
  Blob blob;
  blob.dtype = dtype_of_blob(metadata.dtype);
  if (blob.dtype == DType::kUnused) {
    refuse_blob("the weight at " + place + " has an unknown dtype", std::to_string(metadata.dtype),
                "1 to 15");
  }
  uint64_t padding = bits_of(blob.dtype) < 8 ? metadata.padding_bits : 0;
  if (padding > metadata.size * 8 || (bits_of(blob.dtype) < 8 && padding > 7)) {
    refuse_blob("the weight at " + place + " has too much padding", std::to_string(padding) + " bits",
                "0 to 7");
  }
  blob.bytes = bytes.subspan(metadata.offset, metadata.size);
  blob.elements =
      static_cast<int64_t>((metadata.size * 8 - padding) / static_cast<uint64_t>(bits_of(blob.dtype)));
  return blob;
}

}  // namespace tintype
