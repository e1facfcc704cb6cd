/** An opened runtime library and its function table. */
#pragma once

#include <memory>
#include <string>

#include "bridge.h"

namespace tintype {

/**
 * A library that exports a `tt_api`. It stays loaded until the process ends: a Swift runtime and MLX's worker
 * threads do not survive `dlclose`.
 */
class Runtime {
 public:
  /** Opens `path` and asks `symbol` for the table; BackendUnavailable with the reason when that fails. */
  static std::shared_ptr<Runtime> open(const std::string& path, const std::string& symbol);

  const tt_api& api() const { return *api_; }

 private:
  explicit Runtime(const tt_api* api) : api_(api) {}

  const tt_api* api_;
};

/** A package's path and how to load it, with the memory that the table's functions read. */
class PackageOptions {
 public:
  /** `cache_folder` may be None. */
  PackageOptions(const pybind11::object& path, tt_compute_units units, const pybind11::object& cache_folder);
  PackageOptions(const PackageOptions&) = delete;
  PackageOptions& operator=(const PackageOptions&) = delete;

  const char* path() const { return path_.c_str(); }
  const tt_load_options* options() const { return &options_; }

 private:
  std::string path_;
  std::string cache_folder_;
  tt_load_options options_ = {};
};

/** JSON that a table returned as its own allocation, which is freed; an empty object for NULL. */
pybind11::str take_text(const tt_api& api, char* value);

/** The bytes of a path (str, bytes or os.PathLike) as the file system wants them. */
std::string file_system_path(const pybind11::object& path);

}  // namespace tintype
