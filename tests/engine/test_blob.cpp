#include "check.h"
#include "format/blob.h"
#include "package_writer.h"

using namespace tintype;

namespace {

const std::string kRemedy = " The file is damaged or cut short: convert or download the package again.";

/** The blob at `offset` of a weight file with this content. */
Blob read(const std::string& content, uint64_t offset = 64) {
  auto path =
      std::filesystem::temp_directory_path() / ("tintype_blob_" + std::to_string(content.size()) + ".bin");
  writer::write_file(path, content);
  auto file = MappedFile::open(path.string(), "weight.bin");
  std::filesystem::remove(path);
  Blob blob = BlobFile(file).at(offset);
  static std::vector<std::shared_ptr<const MappedFile>> kept;  // the blob's bytes lie in it
  kept.push_back(file);
  return blob;
}

std::string with32(std::string content, size_t at, uint32_t value) {
  return content.replace(at, 4, reinterpret_cast<const char*>(&value), 4);
}

std::string with64(std::string content, size_t at, uint64_t value) {
  return content.replace(at, 8, reinterpret_cast<const char*>(&value), 8);
}

const std::string kGood = writer::weights({1, 10, 100});

}  // namespace

TEST(reads_a_blob) {
  Blob blob = read(kGood);
  CHECK(blob.dtype == DType::kFloat32 && blob.elements == 3 && blob.bytes.size() == 12);
  float value = 0;
  std::memcpy(&value, blob.bytes.data() + 4, 4);
  CHECK(value == 10);
}

TEST(counts_packed_elements) {
  // uint4 [0, 1, 2, 3, 4]: 10 32 04, four bits of padding.
  std::string file = with64(with64(with32(kGood, 68, 11), 72, 3), 88, 4);
  Blob blob = read(file);
  CHECK(blob.dtype == DType::kUInt4 && blob.elements == 5);
}

TEST(refuses_damage) {
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[weight.bin] the file is too short for its header, got 10 bytes, expected 64." + kRemedy,
                read(kGood.substr(0, 10)));
  CHECK_REFUSED(TT_ERROR_FORMAT, "[weight.bin] unknown format version, got 3, expected 2." + kRemedy,
                read(with32(kGood, 4, 3)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] a weight's description lies beyond the end, got byte 64, expected less than 100 bytes "
      "of file." +
          kRemedy,
      read(kGood.substr(0, 100)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] the weight at byte 64 ends beyond the file, got 12 bytes from 128 on, expected 130 bytes "
      "of file." +
          kRemedy,
      read(kGood.substr(0, 130)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] no weight begins at byte 64, got another marker, expected 0xDEADBEEF." + kRemedy,
      read(with32(kGood, 64, 7)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] the weight at byte 64 has an unknown dtype, got 99, expected 1 to 15." + kRemedy,
      read(with32(kGood, 68, 99)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] the weight at byte 64 ends beyond the file, got 18446744073709551615 bytes from 128 on, "
      "expected 140 bytes of file." +
          kRemedy,
      read(with64(kGood, 72, ~uint64_t{0})));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] the weight at byte 64 is misaligned, got 130, expected a multiple of 64." + kRemedy,
      read(with64(with64(kGood, 80, 130), 72, 4)));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] a weight's offset is impossible, got 3, expected a multiple of 64 from 64 on." + kRemedy,
      read(kGood, 3));
  CHECK_REFUSED(
      TT_ERROR_FORMAT,
      "[weight.bin] a weight's description lies beyond the end, got byte 18446744073709551552, expected less "
      "than 140 bytes of file." +
          kRemedy,
      read(kGood, ~uint64_t{63}));
}

int main() {
  return check::run_all();
}
