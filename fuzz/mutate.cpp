// libFuzzer's mutator for the fuzz target: model.mlmodel is taken apart by its schema, changed at one place
// and put together again, so that most inputs get past the wire format and into the reader and the checker.
// Texts are swapped for names of ops and parameters and for other texts of the same input.
#include <algorithm>
#include <cstring>
#include <random>

#include "message_tree.h"
#include "ops/registry.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace fuzz {

namespace {

using Random = std::minstd_rand;

constexpr uint64_t kNumbers[] = {
    0,          1,          2,          3,          4,     5,        7,          8,          9,
    10,         11,         13,         16,         21,    23,       25,         31,         35,
    36,         37,         38,         39,         63,    64,       65,         127,        128,
    255,        256,        65535,      65552,      65568, 131104,   0x7fffffff, 0x80000000, 0xffffffff,
    1ull << 32, 1ull << 40, 1ull << 62, 1ull << 63, ~0ull, ~0ull - 1};

/** A field, the list that it stands in, and the schema of that list. */
struct Place {
  std::vector<Field>* siblings;
  size_t index;
  const Schema* schema;
  Field& field() const { return (*siblings)[index]; }
};

void collect(std::vector<Field>& fields, const Schema& schema, std::vector<Place>& places) {
  for (size_t i = 0; i < fields.size(); ++i) {
    places.push_back({&fields, i, &schema});
    if (fields[i].schema) collect(fields[i].fields, *fields[i].schema, places);
  }
}

const std::vector<std::string>& words() {
  static const auto* all = [] {
    auto* words = new std::vector<std::string>{
        "name", "val", "main", "CoreML7", "@model_path/weights/weight.bin", "", "../weight.bin"};
    for (const std::string& op : tintype::op_names()) {
      words->push_back(op);
      for (const auto& parameter : tintype::find_op(op)->parameters) words->push_back(parameter.name);
    }
    return words;
  }();
  return *all;
}

const FieldRule* rule_of(const Place& place) {
  for (const FieldRule& rule : place.schema->fields) {
    if (rule.number == place.field().number) return &rule;
  }
  return nullptr;
}

void change_text(const Place& place, const std::vector<Place>& places, Random& random) {
  Field& field = place.field();
  const FieldRule* rule = rule_of(place);
  bool text = rule && rule->kind == 's';
  if (text && random() % 3 == 0) {
    field.text = words()[random() % words().size()];
  } else if (text && random() % 2 == 0) {
    for (int tries = 0; tries < 8; ++tries) {
      const Field& other = places[random() % places.size()].field();
      if (other.wire != 2 || other.schema) continue;
      field.text = other.text;
      return;
    }
  } else {
    size_t size = field.text.size();
    field.text.resize(size + 16);
    size = LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(field.text.data()), size, size + 16);
    field.text.resize(size);
  }
}

void change_number(Field& field, Random& random) {
  switch (random() % 4) {
    case 0:
      field.integer = kNumbers[random() % std::size(kNumbers)];
      break;
    case 1:
      ++field.integer;
      break;
    case 2:
      --field.integer;
      break;
    default:
      field.integer ^= 1ull << random() % 64;
  }
}

Field made(const FieldRule& rule, Random& random, int depth) {
  Field field;
  field.number = rule.number;
  if (rule.kind == 'v') {
    field.integer = kNumbers[random() % std::size(kNumbers)];
    return field;
  }
  field.wire = 2;
  if (rule.kind == 's') field.text = words()[random() % words().size()];
  if (rule.kind == 'b') field.text.assign(random() % 9, static_cast<char>(random()));
  if (rule.kind != 'm') return field;
  field.schema = rule.of;
  for (const FieldRule& inner : rule.of->fields) {
    if (depth < 6 && random() % 2) field.fields.push_back(made(inner, random, depth + 1));
  }
  return field;
}

void insert_field(const Place& place, Random& random) {
  const auto& rules = place.schema->fields;
  if (rules.empty()) return;
  Field field = made(rules[random() % rules.size()], random, 0);
  place.siblings->insert(place.siblings->begin() + static_cast<std::ptrdiff_t>(place.index),
                         std::move(field));
}

// The same kind of message from elsewhere: an op into a block, a type onto a value.
void transplant(const Place& place, const std::vector<Place>& donors, Random& random) {
  for (int tries = 0; tries < 16; ++tries) {
    const Place& donor = donors[random() % donors.size()];
    if (donor.field().schema != place.field().schema || donor.field().wire != place.field().wire) continue;
    Field copy = donor.field();
    copy.number = place.field().number;
    if (random() % 2) {
      place.field() = std::move(copy);
    } else {
      place.siblings->insert(place.siblings->begin() + static_cast<std::ptrdiff_t>(place.index),
                             std::move(copy));
    }
    return;
  }
}

void change(const Place& place, const std::vector<Place>& places, Random& random) {
  auto at = place.siblings->begin() + static_cast<std::ptrdiff_t>(place.index);
  switch (random() % 10) {
    case 0:
      place.siblings->erase(at);
      break;
    case 1:
      place.siblings->insert(at, Field(*at));
      break;
    case 2:
      std::swap(*at, (*place.siblings)[random() % place.siblings->size()]);
      break;
    case 3:
      transplant(place, places, random);
      break;
    case 4:
      insert_field(place, random);
      break;
    case 5:
      place.field().number = 1 + random() % 8;
      break;
    default:
      if (place.field().wire != 2)
        change_number(place.field(), random);
      else if (!place.field().schema)
        change_text(place, places, random);
      else
        transplant(place, places, random);
  }
}

size_t change_bytes(uint8_t* data, size_t size, size_t most) {
  return LLVMFuzzerMutate(data, size, most);
}

// Model.proto of `size` bytes at `data`, in place; 0 if it did not work out.
size_t change_model(uint8_t* data, size_t size, size_t most, Random& random) {
  auto model = take_apart({data, size}, model_schema());
  if (!model) return 0;
  for (unsigned i = 0; i <= random() % 3; ++i) {
    std::vector<Place> places;
    collect(*model, model_schema(), places);
    if (places.empty()) return 0;
    change(places[random() % places.size()], places, random);
  }
  std::string text = put_together(*model);
  if (text.size() > most) return 0;
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

// 'p': four bytes of the model's size, the model, weight.bin. The weights move when the model grows.
size_t change_package(uint8_t* data, size_t size, size_t most, Random& random) {
  uint32_t model_size = 0;
  if (size < 5) return 0;
  std::memcpy(&model_size, data + 1, 4);
  if (model_size > size - 5) return 0;
  std::string weights(data + 5 + model_size, data + size);
  size_t room = most - 5 - std::min(most - 5, weights.size());
  if (random() % 4 == 0 && !weights.empty()) {
    return 5 + model_size + change_bytes(data + 5 + model_size, weights.size(), most - 5 - model_size);
  }
  size_t changed = change_model(data + 5, model_size, room, random);
  if (changed == 0) return 0;
  model_size = static_cast<uint32_t>(changed);
  std::memcpy(data + 1, &model_size, 4);
  std::memcpy(data + 5 + changed, weights.data(), weights.size());
  return 5 + changed + weights.size();
}

}  // namespace

}  // namespace fuzz

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  fuzz::Random random(seed);
  size_t changed = 0;
  if (size > 1 && random() % 8 != 0) {
    if (data[0] == 'm') changed = fuzz::change_model(data + 1, size - 1, most - 1, random);
    if (data[0] == 'm' && changed) return changed + 1;
    if (data[0] == 'p') changed = fuzz::change_package(data, size, most, random);
    if (changed) return changed;
  }
  return LLVMFuzzerMutate(data, size, most);
}
