#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/parse_budget.h"

namespace tintype {

/*
 * Protocol Buffers' wire format, read in place and never past its end:
 *
 *   field := key payload           key = varint (number << 3 | type)
 *   type 0  varint                 1 to 10 bytes, 7 bits each, low bits first, high bit = more follow
 *   type 1  64 bits                little-endian
 *   type 2  length, bytes          a string, bytes, a message or packed scalars
 *   type 5  32 bits                little-endian
 *   types 3 and 4 (groups) do not occur in Core ML's messages and are refused
 */

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class WireReader;

/** One field of a message: its number, its type and its payload, not yet interpreted. */
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t integer = 0;            // varint, fixed64 or fixed32
  std::span<const uint8_t> bytes;  // kBytes only
  size_t offset = 0;               // of the payload in the file, for messages
  int depth = 0;
  ParseBudget* budget = nullptr;

  uint64_t as_unsigned() const;
  int64_t as_signed() const;
  bool as_bool() const { return as_unsigned() != 0; }
  float as_float() const;
  double as_double() const;
  /** The bytes as UTF-8 text that may cross the C ABI. */
  std::string as_string() const;
  /** A reader of the bytes as a message, one level deeper. */
  WireReader as_message() const;
  /** The same of a message that says something; `what` names it where it does not: "an operation". */
  WireReader as_filled_message(const char* what) const;

  /** Appends a repeated scalar, packed or not. */
  void append_to(std::vector<float>& values) const;
  void append_to(std::vector<double>& values) const;
  void append_to(std::vector<int64_t>& values) const;

 private:
  void require(WireType expected) const;
};

/** Walks the fields of one message. Damage is an EngineError (TT_ERROR_FORMAT) that names the byte. */
class WireReader {
 public:
  /** Core ML's messages nest a few levels an operation's block; more than this is an attack on the stack. */
  static constexpr int kDeepest = 100;

  explicit WireReader(std::span<const uint8_t> bytes, size_t offset = 0, int depth = 0,
                      ParseBudget* budget = nullptr);

  /** Moves to the next field; false at the end of the message. */
  bool next(WireField& field);

  /** Makes room for the message's fields `number`, of which each becomes an element; the budget pays. */
  template <typename Element>
  void reserve(uint32_t number, std::vector<Element>& elements) const {
    size_t count = count_of(number);
    take(count * sizeof(Element));
    if (elements.empty()) elements.reserve(count);  // else it grows by its own, larger steps
  }

  /** Counts `bytes` that the message takes in memory. */
  void take(size_t bytes) const {
    if (budget_) budget_->take(bytes, offset_);
  }

 private:
  size_t count_of(uint32_t number) const;
  uint64_t varint();
  uint64_t fixed(size_t size);

  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
  size_t offset_;
  int depth_;
  ParseBudget* budget_;
};

/** Refuses a damaged message at a byte of the file. */
[[noreturn]] void refuse_damage(size_t offset, const std::string& problem);

}  // namespace tintype
