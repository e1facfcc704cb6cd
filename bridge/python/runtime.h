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
  const std::string& path() const { return path_; }

 private:
  Runtime(std::string path, const tt_api* api) : path_(std::move(path)), api_(api) {}

  std::string path_;
  const tt_api* api_;
};

/** The bytes of a path (str, bytes or os.PathLike) as the file system wants them. */
std::string file_system_path(const pybind11::object& path);

}  // namespace tintype
