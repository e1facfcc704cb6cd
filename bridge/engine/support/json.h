#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tintype {

/** A JSON value: what Manifest.json holds, and what the engine describes itself with. */
class Json {
 public:
  enum class Kind { kNull, kBoolean, kNumber, kString, kArray, kObject };
  using Members = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  static Json boolean(bool value);
  static Json number(double value);
  static Json integer(long long value);
  static Json string(std::string value);
  static Json array();
  static Json object();

  /** Reads one JSON document; throws EngineError (TT_ERROR_FORMAT) that names `source` and the byte. */
  static Json parse(std::string_view text, const std::string& source);

  Kind kind() const { return kind_; }
  const std::string& text() const { return text_; }
  const std::vector<Json>& items() const { return items_; }
  const Members& members() const { return members_; }

  /** The member of that name, or nullptr. */
  const Json* find(std::string_view name) const;
  /** The string member of that name, or "". */
  std::string string_at(std::string_view name) const;

  Json& set(std::string name, Json value);
  Json& push(Json value);

  std::string dump() const;

 private:
  friend class JsonParser;
  void write(std::string& out) const;

  Kind kind_ = Kind::kNull;
  bool boolean_ = false;
  std::string text_;  // a string's characters, or a number as written
  std::vector<Json> items_;
  Members members_;
};

}  // namespace tintype
