#pragma once

// What the readers of Model.proto (parse_model.cpp) and MIL.proto (parse_mil.cpp) share.
#include <string>
#include <vector>

#include "format/wire.h"
#include "program/program.h"

namespace tintype {

/** The repeated numbers of a message's field 1. */
template <typename Value>
std::vector<Value> parse_numbers(WireReader reader) {
  std::vector<Value> values;
  for (WireField field; reader.next(field);) {
    if (field.number == 1) field.append_to(values);
  }
  return values;
}

/** A protobuf map entry: key (1) and the field that holds the value (2). */
struct MapEntry {
  std::string key;
  WireField value;
};

/** Reads a map's entry; a value that is left out is an empty message. */
MapEntry parse_map_entry(const WireField& source);

/** Reads MIL.proto's Program. */
Program parse_program(WireReader reader);

}  // namespace tintype
