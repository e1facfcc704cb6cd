#include "format/wire.h"

#include <bit>
#include <cstring>

#include "support/error.h"

namespace tintype {

void refuse_damage(size_t offset, const std::string& problem) {
  refuse(TT_ERROR_FORMAT,
         {"model.mlmodel", "the file is damaged at byte " + std::to_string(offset) + ": " + problem, "", "",
          "Convert or download the package again."});
}

WireReader::WireReader(std::span<const uint8_t> bytes, size_t offset, int depth, ParseBudget* budget)
    : bytes_(bytes), offset_(offset), depth_(depth), budget_(budget) {
  if (depth > kDeepest)
    refuse_damage(offset, "messages nest deeper than " + std::to_string(kDeepest) + " levels");
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (at_ >= bytes_.size()) refuse_damage(offset_ + at_, "a number ends early");
    uint8_t byte = bytes_[at_++];
    if (shift == 63 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  refuse_damage(offset_ + at_, "a number is longer than 64 bits");
}

uint64_t WireReader::fixed(size_t size) {
  if (bytes_.size() - at_ < size) refuse_damage(offset_ + at_, "a number ends early");
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= static_cast<uint64_t>(bytes_[at_ + i]) << (8 * i);
  at_ += size;
  return value;
}

size_t WireReader::count_of(uint32_t number) const {
  WireReader reader = *this;
  size_t count = 0;
  for (WireField field; reader.next(field);) count += field.number == number;
  return count;
}

bool WireReader::next(WireField& field) {
  if (at_ == bytes_.size()) return false;
  size_t start = offset_ + at_;
  uint64_t key = varint();
  field = WireField{};
  if (key >> 3 == 0 || key >> 3 > 0x1fffffff) refuse_damage(start, "a field has no valid number");
  field.number = static_cast<uint32_t>(key >> 3);
  field.depth = depth_;
  field.budget = budget_;
  switch (key & 7) {
    case 0:
      field.type = WireType::kVarint, field.integer = varint();
      break;
    case 1:
      field.type = WireType::kFixed64, field.integer = fixed(8);
      break;
    case 5:
      field.type = WireType::kFixed32, field.integer = fixed(4);
      break;
    case 2: {
      field.type = WireType::kBytes;
      uint64_t size = varint();
      if (size > bytes_.size() - at_) {
        refuse_damage(start, "a field of " + std::to_string(size) + " bytes does not fit in the " +
                                 std::to_string(bytes_.size() - at_) + " that are left");
      }
      field.offset = offset_ + at_;
      field.bytes = bytes_.subspan(at_, size);
      at_ += size;
      break;
    }
    default:
      refuse_damage(start, "a field has an unknown wire type " + std::to_string(key & 7));
  }
  return true;
}

void WireField::require(WireType expected) const {
  if (type == expected) return;
  refuse_damage(offset, "field " + std::to_string(number) + " has wire type " +
                            std::to_string(static_cast<int>(type)) + ", expected " +
                            std::to_string(static_cast<int>(expected)));
}

uint64_t WireField::as_unsigned() const {
  require(WireType::kVarint);
  return integer;
}

int64_t WireField::as_signed() const {
  return static_cast<int64_t>(as_unsigned());
}

float WireField::as_float() const {
  require(WireType::kFixed32);
  return std::bit_cast<float>(static_cast<uint32_t>(integer));
}

double WireField::as_double() const {
  require(WireType::kFixed64);
  return std::bit_cast<double>(integer);
}

std::string WireField::as_string() const {
  require(WireType::kBytes);
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_plain_utf8(text)) refuse_damage(offset, "a text is not UTF-8 or holds a NUL");
  return text;
}

WireReader WireField::as_message() const {
  require(WireType::kBytes);
  return WireReader(bytes, offset, depth + 1, budget);
}

WireReader WireField::as_filled_message(const char* what) const {
  WireReader reader = as_message();
  if (bytes.empty()) refuse_damage(offset, std::string(what) + " is empty");
  return reader;
}

namespace {

template <typename T>
void append_fixed(const WireField& field, std::vector<T>& values) {
  if (field.bytes.size() % sizeof(T) != 0) refuse_damage(field.offset, "packed numbers end early");
  size_t count = values.size();
  values.resize(count + field.bytes.size() / sizeof(T));
  if (!field.bytes.empty()) std::memcpy(values.data() + count, field.bytes.data(), field.bytes.size());
}

}  // namespace

void WireField::append_to(std::vector<float>& values) const {
  if (type == WireType::kBytes) return append_fixed(*this, values);
  values.push_back(as_float());
}

void WireField::append_to(std::vector<double>& values) const {
  if (type == WireType::kBytes) return append_fixed(*this, values);
  values.push_back(as_double());
}

void WireField::append_to(std::vector<int64_t>& values) const {
  if (type != WireType::kBytes) {
    values.push_back(as_signed());
    return;
  }
  // A packed list has no keys: every varint is a value.
  uint64_t value = 0;
  int shift = 0;
  for (uint8_t byte : bytes) {
    if (shift > 63) refuse_damage(offset, "a packed number is longer than 64 bits");
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    shift += 7;
    if (byte < 0x80) {
      values.push_back(static_cast<int64_t>(value));
      value = 0;
      shift = 0;
    }
  }
  if (shift != 0) refuse_damage(offset, "packed numbers end early");
}

}  // namespace tintype
