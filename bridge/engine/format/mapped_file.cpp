#include "format/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "support/error.h"

namespace tintype {

namespace {

/** Closes a file descriptor at the end of its scope. */
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

[[noreturn]] void refuse_file(const std::string& path, const std::string& what, int code) {
  refuse(TT_ERROR_IO, {what, "cannot read " + quoted(path, kLongestPath) + ": " + std::strerror(code), "", "",
                       "Check the path and the permissions."});
}

const char* kind_of(mode_t mode) {
  return S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path, const std::string& what) {
  // Without O_NONBLOCK a pipe that nobody writes to would be waited for; it means nothing to a file.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) refuse_file(path, what, errno);
  struct stat status{};
  if (::fstat(file.value, &status) != 0) refuse_file(path, what, errno);
  if (S_ISDIR(status.st_mode)) refuse_file(path, what, EISDIR);
  if (!S_ISREG(status.st_mode)) {
    refuse(TT_ERROR_IO, {what, quoted(path, kLongestPath) + " is no file", kind_of(status.st_mode), "a file",
                         "Convert or download the package again."});
  }
  auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(nullptr, 0, -1, what));
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (data == MAP_FAILED) refuse_file(path, what, errno);
  auto* bytes = static_cast<const uint8_t*>(data);
  return std::shared_ptr<const MappedFile>(new MappedFile(bytes, size, std::exchange(file.value, -1), what));
}

std::shared_ptr<const MappedFile> MappedFile::view(std::span<const uint8_t> bytes) {
  return std::shared_ptr<const MappedFile>(new MappedFile(bytes.data(), bytes.size(), -1, ""));
}

MappedFile::~MappedFile() {
  if (descriptor_ < 0) return;
  ::munmap(const_cast<uint8_t*>(data_), size_);
  ::close(descriptor_);
}

void MappedFile::require_whole() const {
  struct stat status{};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) return;
  if (static_cast<uint64_t>(status.st_size) >= size_) return;
  refuse(TT_ERROR_IO,
         {what_, "the file was cut short after it was opened", std::to_string(status.st_size) + " bytes",
          std::to_string(size_),
          "Write the package again, beside the old one, rename it into place, and load it anew."});
}

}  // namespace tintype
