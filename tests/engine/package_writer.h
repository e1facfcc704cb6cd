#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace writer {

/** A protobuf message put together field by field. */
class Message {
 public:
  Message& varint(uint32_t number, uint64_t value) {
    append(uint64_t{number} << 3);
    append(value);
    return *this;
  }
  Message& bytes(uint32_t number, const std::string& value) {
    append(uint64_t{number} << 3 | 2);
    append(value.size());
    text_ += value;
    return *this;
  }
  Message& message(uint32_t number, const Message& value) { return bytes(number, value.text_); }
  const std::string& text() const { return text_; }

 private:
  void append(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>(value | 0x80);
    text_ += static_cast<char>(value);
  }
  std::string text_;
};

constexpr uint64_t kFloat32 = 11, kInt32 = 23, kString = 2;

/** ValueType of a tensor. */
inline Message tensor_type(uint64_t dtype, const std::vector<uint64_t>& shape) {
  Message type;
  type.varint(1, dtype).varint(2, shape.size());
  for (uint64_t size : shape) type.message(3, Message().message(1, Message().varint(1, size)));
  return Message().message(1, type);
}

inline Message named_type(const std::string& name, const Message& type) {
  return Message().bytes(1, name).message(2, type);
}

inline Message map_entry(const std::string& key, const Message& value) {
  return Message().bytes(1, key).message(2, value);
}

/** Value of a text, as ops carry their names. */
inline Message text_value(const std::string& text) {
  Message tensor = Message().message(4, Message().bytes(1, text));
  return Message().message(2, tensor_type(kString, {})).message(3, Message().message(1, tensor));
}

inline Message floats_value(const std::vector<float>& values, const std::vector<uint64_t>& shape) {
  std::string packed(values.size() * sizeof(float), '\0');
  std::memcpy(packed.data(), values.data(), packed.size());
  Message tensor = Message().message(1, Message().bytes(1, packed));
  return Message().message(2, tensor_type(kFloat32, shape)).message(3, Message().message(1, tensor));
}

inline Message file_value(uint64_t offset, const std::vector<uint64_t>& shape) {
  Message file = Message().bytes(1, "@model_path/weights/weight.bin").varint(2, offset);
  return Message().message(2, tensor_type(kFloat32, shape)).message(5, file);
}

/** An op with arguments by name and one output. */
inline Message operation(const std::string& type, const std::string& name,
                         const std::vector<std::pair<std::string, std::string>>& arguments,
                         const Message& output) {
  Message op = Message().bytes(1, type);
  for (const auto& [parameter, value] : arguments) {
    op.message(2, map_entry(parameter, Message().message(1, Message().bytes(1, value))));
  }
  return op.message(3, named_type(name, output)).message(5, map_entry("name", text_value(name)));
}

inline Message constant(const std::string& name, const Message& value, const Message& type) {
  return Message()
      .bytes(1, "const")
      .message(3, named_type(name, type))
      .message(5, map_entry("val", value))
      .message(5, map_entry("name", text_value(name)));
}

/** Model.proto around one function "main" of x float32 [2, 3] whose output is `output`. */
inline std::string model(const std::vector<Message>& operations, const std::string& output) {
  Message block;
  for (const Message& op : operations) block.message(3, op);
  block.bytes(2, output);
  Message function = Message().message(1, named_type("x", tensor_type(kFloat32, {2, 3}))).bytes(2, "CoreML7");
  function.message(3, map_entry("CoreML7", block));
  Message program = Message().varint(1, 1).message(2, map_entry("main", function));
  auto array = [](bool shape) {
    Message type = Message().varint(2, 65568);
    if (shape) type.varint(1, 2).varint(1, 3);
    return Message().message(5, type);
  };
  Message description;
  description.message(1, Message().bytes(1, "x").message(3, array(true)));
  description.message(10, Message().bytes(1, output).message(3, array(false)));
  return Message().varint(1, 8).message(2, description).message(502, program).text();
}

/** weight.bin with one float32 blob at 64. */
inline std::string weights(const std::vector<float>& values) {
  std::string file(192, '\0');
  auto put32 = [&](size_t at, uint32_t value) { std::memcpy(file.data() + at, &value, 4); };
  auto put64 = [&](size_t at, uint64_t value) { std::memcpy(file.data() + at, &value, 8); };
  put32(0, 1);            // count
  put32(4, 2);            // version
  put32(64, 0xDEADBEEF);  // sentinel
  put32(68, 2);           // dtype float32
  put64(72, values.size() * 4);
  put64(80, 128);  // offset of the data
  file.resize(128 + values.size() * 4);
  std::memcpy(file.data() + 128, values.data(), values.size() * 4);
  return file;
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/** A package in the temporary folder, removed at the end. */
class Package {
 public:
  Package(const std::string& model_text, const std::string& weight_text) {
    static int count = 0;
    folder_ = std::filesystem::temp_directory_path() /
              ("tintype_" + std::to_string(reinterpret_cast<uintptr_t>(this)) + "_" +
               std::to_string(++count) + ".mlpackage");
    write_file(
        folder_ / "Manifest.json",
        R"({"fileFormatVersion": "1.0.0", "itemInfoEntries": {"A": {"path": "com.apple.CoreML/model.mlmodel"}},
                   "rootModelIdentifier": "A"})");
    write_model(model_text);
    if (!weight_text.empty()) write_weights(weight_text);
  }
  ~Package() { std::filesystem::remove_all(folder_); }
  Package(const Package&) = delete;
  Package& operator=(const Package&) = delete;

  void write_model(const std::string& text) { write_file(data() / "model.mlmodel", text); }
  void write_weights(const std::string& text) { write_file(data() / "weights/weight.bin", text); }
  void write_manifest(const std::string& text) { write_file(folder_ / "Manifest.json", text); }
  std::filesystem::path data() const { return folder_ / "Data/com.apple.CoreML"; }
  std::string path() const { return folder_.string(); }

 private:
  std::filesystem::path folder_;
};

/** y = x * w + 1 with w float32 [3] in the file. */
inline std::string sample_model() {
  Message wide = tensor_type(kFloat32, {2, 3}), row = tensor_type(kFloat32, {3});
  return model(
      {constant("w", file_value(64, {3}), row), operation("mul", "m", {{"x", "x"}, {"y", "w"}}, wide),
       constant("one", floats_value({1}, {}), tensor_type(kFloat32, {})),
       operation("add", "y", {{"x", "m"}, {"y", "one"}}, wide)},
      "y");
}

inline std::string sample_weights() {
  return weights({1, 10, 100});
}

}  // namespace writer
