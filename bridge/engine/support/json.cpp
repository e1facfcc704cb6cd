#include "support/json.h"

#include <cstdint>
#include <cstdio>
#include <utility>

#include "support/error.h"

namespace tintype {

/** A recursive-descent reader whose depth and errors are bounded. */
class JsonParser {
 public:
  JsonParser(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  Json document() {
    Json value = this->value(0);
    skip_space();
    if (at_ != text_.size()) fail("more text after the document");
    return value;
  }

 private:
  static constexpr int kDeepest = 64;

  [[noreturn]] void fail(const std::string& problem) const {
    refuse(TT_ERROR_FORMAT, {source_, "not valid JSON: " + problem + " at byte " + std::to_string(at_), "",
                             "", "Convert or download the package again."});
  }

  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  char peek() {
    skip_space();
    if (at_ >= text_.size()) fail("the text ends early");
    return text_[at_];
  }

  void expect(char c) {
    if (peek() != c) fail(std::string("expected '") + c + "'");
    ++at_;
  }

  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  Json value(int depth) {
    if (depth > kDeepest) fail("nested too deeply");
    char c = peek();
    if (c == '{') return object(depth);
    if (c == '[') return array(depth);
    if (c == '"') return Json::string(string());
    if (c == '-' || (c >= '0' && c <= '9')) return number();
    if (word("true")) return Json::boolean(true);
    if (word("false")) return Json::boolean(false);
    if (word("null")) return Json();
    fail("unexpected character");
  }

  bool word(std::string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Json object(int depth) {
    Json out = Json::object();
    expect('{');
    if (accept('}')) return out;
    do {
      if (peek() != '"') fail("expected a member's name");
      std::string name = string();
      expect(':');
      out.set(std::move(name), value(depth + 1));
    } while (accept(','));
    expect('}');
    return out;
  }

  Json array(int depth) {
    Json out = Json::array();
    expect('[');
    if (accept(']')) return out;
    do out.push(value(depth + 1));
    while (accept(','));
    expect(']');
    return out;
  }

  Json number() {
    size_t start = at_;
    while (at_ < text_.size() &&
           std::string_view("+-.eE0123456789").find(text_[at_]) != std::string_view::npos)
      ++at_;
    Json out;
    out.kind_ = Json::Kind::kNumber;
    out.text_ = std::string(text_.substr(start, at_ - start));
    return out;
  }

  std::string string() {
    ++at_;
    std::string out;
    while (true) {
      if (at_ >= text_.size()) fail("a string is not closed");
      char c = text_[at_++];
      if (c == '"') break;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\')
        escape(out);
      else
        out += c;
    }
    if (!is_plain_utf8(out)) fail("a string is not UTF-8 or holds a NUL");
    return out;
  }

  void escape(std::string& out) {
    if (at_ >= text_.size()) fail("a string is not closed");
    char c = text_[at_++];
    constexpr std::string_view kNames = "\"\\/bfnrt", kValues = "\"\\/\b\f\n\r\t";
    if (size_t i = kNames.find(c); i != std::string_view::npos) {
      out += kValues[i];
    } else if (c == 'u') {
      append_utf8(out, code_point());
    } else {
      fail("an unknown escape in a string");
    }
  }

  uint32_t hex4() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      char c = at_ < text_.size() ? text_[at_++] : ' ';
      size_t digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit == std::string_view::npos) fail("a bad \\u escape");
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return code;
  }

  uint32_t code_point() {
    uint32_t code = hex4();
    if (code >= 0xd800 && code < 0xdc00 && word("\\u")) {
      uint32_t low = hex4();
      if (low < 0xdc00 || low > 0xdfff) fail("a bad surrogate pair");
      return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return code;
  }

  static void append_utf8(std::string& out, uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
      out += static_cast<char>(0xf0 | (code >> 18));
      out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
      out += static_cast<char>(0x80 | (code & 0x3f));
    }
  }

  std::string_view text_;
  const std::string& source_;
  size_t at_ = 0;
};

Json Json::parse(std::string_view text, const std::string& source) {
  return JsonParser(text, source).document();
}

Json Json::boolean(bool value) {
  Json out;
  out.kind_ = Kind::kBoolean;
  out.boolean_ = value;
  return out;
}

Json Json::number(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.17g", value);
  Json out;
  out.kind_ = Kind::kNumber;
  out.text_ = digits;
  return out;
}

Json Json::integer(long long value) {
  Json out;
  out.kind_ = Kind::kNumber;
  out.text_ = std::to_string(value);
  return out;
}

Json Json::string(std::string value) {
  Json out;
  out.kind_ = Kind::kString;
  out.text_ = std::move(value);
  return out;
}

Json Json::array() {
  Json out;
  out.kind_ = Kind::kArray;
  return out;
}

Json Json::object() {
  Json out;
  out.kind_ = Kind::kObject;
  return out;
}

const Json* Json::find(std::string_view name) const {
  for (const auto& [key, value] : members_) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string Json::string_at(std::string_view name) const {
  const Json* value = find(name);
  return value && value->kind_ == Kind::kString ? value->text_ : std::string();
}

Json& Json::set(std::string name, Json value) {
  members_.emplace_back(std::move(name), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  items_.push_back(std::move(value));
  return *this;
}

std::string Json::dump() const {
  std::string out;
  write(out);
  return out;
}

namespace {

void write_string(std::string& out, const std::string& text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c));
      out += code;
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

void Json::write(std::string& out) const {
  const char* separator = "";
  switch (kind_) {
    case Kind::kNull:
      out += "null";
      break;
    case Kind::kBoolean:
      out += boolean_ ? "true" : "false";
      break;
    case Kind::kNumber:
      out += text_;
      break;
    case Kind::kString:
      write_string(out, text_);
      break;
    case Kind::kArray:
      out += '[';
      for (const Json& item : items_) {
        out += separator;
        item.write(out);
        separator = ", ";
      }
      out += ']';
      break;
    case Kind::kObject:
      out += '{';
      for (const auto& [name, value] : members_) {
        out += separator;
        write_string(out, name);
        out += ": ";
        value.write(out);
        separator = ", ";
      }
      out += '}';
      break;
  }
}

}  // namespace tintype
