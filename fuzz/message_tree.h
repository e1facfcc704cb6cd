#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fuzz {

/** What the fields of one message of Model.proto or MIL.proto hold, as far as the engine reads them. */
struct Schema;

struct FieldRule {
  uint32_t number;
  char kind;                   // v varint, s text, b bytes or packed numbers, m message
  const Schema* of = nullptr;  // of a message
};

struct Schema {
  const char* name;
  std::vector<FieldRule> fields;
};

/** The schema of model.mlmodel. */
const Schema& model_schema();

/** One field of a protobuf message taken apart, so that a change deep inside leaves every length around it
 * right. */

struct Field {
  uint32_t number = 0;
  uint8_t wire = 0;
  uint64_t integer = 0;
  std::string text;                // the payload of wire type 2 that is no known message
  const Schema* schema = nullptr;  // of a known message
  std::vector<Field> fields;
};

/** The fields of `bytes` as a message of `schema`; nothing if they are none. */
std::optional<std::vector<Field>> take_apart(std::span<const uint8_t> bytes, const Schema& schema,
                                             int depth = 0);

/** The message's bytes. */
std::string put_together(const std::vector<Field>& fields);

}  // namespace fuzz
