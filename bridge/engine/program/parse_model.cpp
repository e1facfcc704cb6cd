// Model.proto, message by message. Field numbers are those of coremltools' descriptors.
#include <algorithm>

#include "program/parse.h"
#include "support/error.h"

namespace tintype {

MapEntry parse_map_entry(const WireField& source) {
  MapEntry entry;
  bool has_value = false;
  auto reader = source.as_message();
  for (WireField field; reader.next(field);) {
    if (field.number == 1) entry.key = field.as_string();
    if (field.number == 2) {
      entry.value = field;
      has_value = true;
    }
  }
  if (!has_value) {  // an empty message
    entry.value.type = WireType::kBytes;
    entry.value.offset = source.offset;
    entry.value.depth = source.depth + 1;
    entry.value.budget = source.budget;
  }
  return entry;
}

namespace {

DType dtype_of_feature(uint64_t code) {
  switch (code) {
    case 65552:
      return DType::kFloat16;
    case 65568:
      return DType::kFloat32;
    case 65600:
      return DType::kFloat64;
    case 131080:
      return DType::kInt8;
    case 131104:
      return DType::kInt32;
    default:
      return DType::kUnused;
  }
}

DimensionRange parse_range(WireReader reader) {
  DimensionRange range;
  for (WireField field; reader.next(field);) {
    if (field.number == 1) range.lowest = field.as_signed();
    if (field.number == 2) range.highest = field.as_signed();
  }
  return range;
}

void parse_array_feature(const WireField& source, Feature& feature) {
  feature.is_array = true;
  auto reader = source.as_message();
  for (WireField field; reader.next(field);) {
    switch (field.number) {
      case 1:
        field.append_to(feature.shape);
        break;
      case 2:
        feature.dtype = dtype_of_feature(field.as_unsigned());
        break;
      case 21: {
        auto shapes = field.as_message();
        shapes.reserve(1, feature.enumerated);
        for (WireField inner; shapes.next(inner);) {
          if (inner.number == 1) feature.enumerated.push_back(parse_numbers<int64_t>(inner.as_message()));
        }
        break;
      }
      case 31: {
        auto ranges = field.as_message();
        ranges.reserve(1, feature.ranges);
        for (WireField inner; ranges.next(inner);) {
          if (inner.number == 1) feature.ranges.push_back(parse_range(inner.as_message()));
        }
        break;
      }
      case 41:
        feature.default_value = static_cast<double>(field.as_signed()), feature.has_default = true;
        break;
      case 51:
        feature.default_value = field.as_float(), feature.has_default = true;
        break;
      case 61:
        feature.default_value = field.as_double(), feature.has_default = true;
        break;
      default:
        break;
    }
  }
  bool bad = feature.shape.size() > TT_MAX_RANK;
  int64_t elements = 1;
  for (int64_t dimension : feature.shape) {
    bad = bad || dimension < 0 || dimension > kLongestDimension ||
          (dimension > 0 && elements > kMostElements / dimension);
    if (!bad) elements *= std::max<int64_t>(dimension, 1);
  }
  if (bad) refuse_damage(source.offset, "an input's or output's shape is impossible");
}

std::pair<int64_t, int64_t> parse_image_size(WireReader reader) {
  std::pair<int64_t, int64_t> size{0, 0};
  for (WireField field; reader.next(field);) {
    if (field.number == 1) size.first = field.as_signed();
    if (field.number == 2) size.second = field.as_signed();
  }
  return size;
}

void parse_image_ranges(WireReader reader, ImageDescription& image) {
  for (WireField field; reader.next(field);) {
    if (field.number == 1) image.width = parse_range(field.as_message());
    if (field.number == 2) image.height = parse_range(field.as_message());
  }
}

void parse_image_feature(const WireField& source, Feature& feature) {
  ImageDescription image;
  int64_t width = 0, height = 0;
  bool ranged = false;
  auto reader = source.as_message();
  for (WireField field; reader.next(field);) {
    if (field.number == 1) width = field.as_signed();
    if (field.number == 2) height = field.as_signed();
    if (field.number == 3) image.layout = static_cast<ColorLayout>(field.as_unsigned() & 0xff);
    if (field.number == 21) {
      auto sizes = field.as_message();
      sizes.reserve(1, image.enumerated);
      for (WireField inner; sizes.next(inner);) {
        if (inner.number == 1) image.enumerated.push_back(parse_image_size(inner.as_message()));
      }
    }
    if (field.number == 31) parse_image_ranges(field.as_message(), image), ranged = true;
  }
  if (!ranged) image.width = {width, width}, image.height = {height, height};
  switch (image.layout) {
    case ColorLayout::kGrayscale:
    case ColorLayout::kRGB:
    case ColorLayout::kBGR:
    case ColorLayout::kGrayscaleFloat16:
      feature.image = std::move(image);
      break;
    default:
      refuse_damage(source.offset, "an image has no known color space");
  }
}

Feature parse_feature(const WireField& source) {
  Feature feature;
  auto reader = source.as_filled_message("an input, output or state");
  for (WireField field; reader.next(field);) {
    if (field.number == 1) feature.name = field.as_string();
    if (field.number != 3) continue;
    auto type = field.as_message();
    for (WireField inner; type.next(inner);) {
      if (inner.number == 4) parse_image_feature(inner, feature);
      if (inner.number == 5) parse_array_feature(inner, feature);
      if (inner.number == 8) {  // a state wraps an array
        auto state = inner.as_message();
        for (WireField array; state.next(array);) {
          if (array.number == 1) parse_array_feature(array, feature);
        }
      }
      if (inner.number == 1000) feature.optional = inner.as_bool();
    }
  }
  return feature;
}

FunctionDescription parse_function_description(WireReader reader) {
  FunctionDescription function;
  reader.reserve(2, function.inputs);
  reader.reserve(3, function.outputs);
  reader.reserve(6, function.states);
  for (WireField field; reader.next(field);) {
    if (field.number == 1) function.name = field.as_string();
    if (field.number == 2) function.inputs.push_back(parse_feature(field));
    if (field.number == 3) function.outputs.push_back(parse_feature(field));
    if (field.number == 6) function.states.push_back(parse_feature(field));
  }
  return function;
}

void parse_metadata(WireReader reader, Specification& specification) {
  reader.reserve(100, specification.metadata);
  for (WireField field; reader.next(field);) {
    constexpr const char* kNames[] = {"", "shortDescription", "versionString", "author", "license"};
    if (field.number >= 1 && field.number <= 4) {
      std::string text = field.as_string();
      if (!text.empty()) specification.metadata.emplace_back(kNames[field.number], std::move(text));
    } else if (field.number == 100) {
      MapEntry entry = parse_map_entry(field);
      specification.metadata.emplace_back(entry.key, entry.value.as_string());
    }
  }
}

void parse_description(WireReader reader, Specification& specification) {
  FunctionDescription only;  // packages with one function describe it at the top
  reader.reserve(1, only.inputs);
  reader.reserve(10, only.outputs);
  reader.reserve(13, only.states);
  reader.reserve(20, specification.functions);
  for (WireField field; reader.next(field);) {
    switch (field.number) {
      case 1:
        only.inputs.push_back(parse_feature(field));
        break;
      case 10:
        only.outputs.push_back(parse_feature(field));
        break;
      case 13:
        only.states.push_back(parse_feature(field));
        break;
      case 20:
        specification.functions.push_back(parse_function_description(field.as_message()));
        break;
      case 21:
        specification.default_function = field.as_string();
        break;
      case 100:
        parse_metadata(field.as_message(), specification);
        break;
      default:
        break;
    }
  }
  if (specification.functions.empty()) {
    only.name = "main";
    specification.functions.push_back(std::move(only));
  }
  if (specification.default_function.empty()) {
    specification.default_function = specification.functions.front().name;
  }
}

}  // namespace

Specification parse_specification(std::span<const uint8_t> bytes) {
  Specification specification;
  bool has_program = false;
  uint32_t other_kind = 0;
  ParseBudget budget(bytes.size());
  WireReader reader(bytes, 0, 0, &budget);
  for (WireField field; reader.next(field);) {
    if (field.number == 1)
      specification.version = field.as_signed();
    else if (field.number == 2)
      parse_description(field.as_message(), specification);
    else if (field.number == 502)
      specification.program = parse_program(field.as_message()), has_program = true;
    else if (field.number >= 200)
      other_kind = field.number;
  }
  if (!has_program && other_kind) {
    refuse(TT_ERROR_UNSUPPORTED, {"model.mlmodel", "the package holds another kind of model",
                                  "Model.proto's kind " + std::to_string(other_kind), "an ML Program (502)",
                                  "Convert it with convert_to=\"mlprogram\"."});
  }
  if (has_program && specification.functions.empty()) {
    refuse(TT_ERROR_FORMAT, {"model.mlmodel", "the file describes no function", "no inputs and outputs",
                             "a description", "Convert or download the package again."});
  }
  if (!has_program) {
    refuse(TT_ERROR_FORMAT,
           {"model.mlmodel", "the file holds no ML Program", std::to_string(bytes.size()) + " bytes", "",
            "Convert or download the package again."});
  }
  return specification;
}

std::string place_of(const Operation& operation) {
  return (operation.type.empty() ? "op"
                                 : quoted(operation.type).substr(1, quoted(operation.type).size() - 2)) +
         " " + quoted(operation.name);
}

}  // namespace tintype
