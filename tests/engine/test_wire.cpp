#include "check.h"
#include "format/wire.h"

using namespace tintype;

namespace {

const std::string kRemedy = " Convert or download the package again.";

// Reads every field of `bytes` and of the messages inside it.
void walk(const std::vector<uint8_t>& bytes) {
  WireReader reader(bytes);
  for (WireField field; reader.next(field);) {
  }
}

std::string damage(size_t at, const std::string& problem) {
  return "[model.mlmodel] the file is damaged at byte " + std::to_string(at) + ": " + problem + "." + kRemedy;
}

}  // namespace

TEST(reads_every_wire_type) {
  std::vector<uint8_t> bytes = {
      0x08, 0x96, 0x01,                                                  // 1: varint 150
      0x11, 0,    0,    0,    0,    0,    0,    0xf0, 0x3f,              // 2: fixed64 1.0
      0x1a, 0x02, 'h',  'i',                                             // 3: "hi"
      0x25, 0,    0,    0,    0x40,                                      // 4: fixed32 2.0f
      0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,  // 5: varint -1
  };
  WireReader reader(bytes);
  WireField field;
  CHECK(reader.next(field) && field.number == 1 && field.as_unsigned() == 150);
  CHECK(reader.next(field) && field.as_double() == 1.0);
  CHECK(reader.next(field) && field.as_string() == "hi");
  CHECK(reader.next(field) && field.as_float() == 2.0f);
  CHECK(reader.next(field) && field.as_signed() == -1);
  CHECK(!reader.next(field));
}

TEST(reads_packed_and_single_numbers) {
  std::vector<uint8_t> bytes = {0x0a, 0x03, 0x01, 0xac, 0x02, 0x08, 0x07};  // packed 1, 300; then 7
  WireReader reader(bytes);
  std::vector<int64_t> values;
  for (WireField field; reader.next(field);) field.append_to(values);
  CHECK((values == std::vector<int64_t>{1, 300, 7}));
}

TEST(refuses_damage) {
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(1, "a number ends early"), walk({0x08}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(2, "a number ends early"), walk({0x08, 0x80}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(11, "a number is longer than 64 bits"),
                walk({0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(0, "a field of 5 bytes does not fit in the 1 that are left"),
                walk({0x0a, 0x05, 0x00}));
  CHECK_REFUSED(TT_ERROR_FORMAT,
                damage(0, "a field of 18446744073709551615 bytes does not fit in the 0 that are left"),
                walk({0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(0, "a field has an unknown wire type 3"), walk({0x0b}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(0, "a field has no valid number"), walk({0x00}));
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(1, "a number ends early"), walk({0x15, 0x00}));
}

TEST(refuses_another_type_than_expected) {
  std::vector<uint8_t> bytes = {0x08, 0x01};
  WireReader reader(bytes);
  WireField field;
  reader.next(field);
  CHECK_REFUSED(TT_ERROR_FORMAT, damage(0, "field 1 has wire type 0, expected 2"), field.as_message());
}

TEST(refuses_text_that_is_not_utf8) {
  for (std::vector<uint8_t> text :
       {std::vector<uint8_t>{0xff}, {0x00}, {0xc0, 0x80}, {0xed, 0xa0, 0x80}, {0xe2, 0x82}}) {
    std::vector<uint8_t> bytes = {0x0a, static_cast<uint8_t>(text.size())};
    bytes.insert(bytes.end(), text.begin(), text.end());
    WireReader reader(bytes);
    WireField field;
    reader.next(field);
    CHECK_REFUSED(TT_ERROR_FORMAT, damage(2, "a text is not UTF-8 or holds a NUL"), field.as_string());
  }
}

TEST(refuses_endless_nesting) {
  // Field 1 in field 1 in field 1 …, 200 levels.
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 200; ++i) {
    std::vector<uint8_t> outer = {0x0a};
    size_t size = bytes.size();
    for (; size >= 0x80; size >>= 7) outer.push_back(static_cast<uint8_t>(size | 0x80));
    outer.push_back(static_cast<uint8_t>(size));
    outer.insert(outer.end(), bytes.begin(), bytes.end());
    bytes = outer;
  }
  auto descend = [&] {
    std::vector<WireReader> stack = {WireReader(bytes)};
    for (WireField field; stack.back().next(field);) stack.push_back(field.as_message());
  };
  std::string text = check::refusal(TT_ERROR_FORMAT, descend, __FILE__, __LINE__);
  CHECK(text.find("messages nest deeper than 100 levels") != std::string::npos);
}

int main() {
  return check::run_all();
}
