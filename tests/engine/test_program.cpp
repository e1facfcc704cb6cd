#include "check.h"
#include "ops/registry.h"
#include "package_writer.h"
#include "program/program.h"

using namespace tintype;
using namespace writer;

namespace {

const std::string kRemedy = " Convert or download the package again.";
const Message kWide = tensor_type(kFloat32, {2, 3});

void resolve(const std::vector<Message>& operations, const std::string& output) {
  std::string text = model(operations, output);
  auto specification = parse_specification({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  resolve_program(specification.program);
}

}  // namespace

TEST(resolves_names_and_lifetimes) {
  std::string text = sample_model();
  auto specification = parse_specification({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  CHECK(specification.version == 8 && specification.default_function == "main");
  CHECK(specification.functions[0].inputs[0].shape == (std::vector<int64_t>{2, 3}));
  resolve_program(specification.program);
  const auto& operations = specification.program.functions[0].block.operations;
  CHECK(operations.size() == 4 &&
        operations[1].arguments[1].bindings[0].slot == operations[0].outputs[0].slot);
  CHECK(operations[3].releases.size() == 2);  // the product and the 1 die with the sum
}

TEST(refuses_programs_that_do_not_hold_together) {
  CHECK_REFUSED(TT_ERROR_UNSUPPORTED,
                "[sofmax \"y\"] unknown op, got \"sofmax\", expected an op of the engine's table. "
                "Did the converter mean \"softmax\"?",
                resolve({operation("sofmax", "y", {{"x", "x"}}, kWide)}, "y"));
  CHECK_REFUSED(
      TT_ERROR_UNSUPPORTED,
      "[frobnicate_all \"y\"] unknown op, got \"frobnicate_all\", expected an op of the engine's table. "
      "Convert the model without it, or add it as docs/adding_an_op.md describes.",
      resolve({operation("frobnicate_all", "y", {{"x", "x"}}, kWide)}, "y"));
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[relu \"y\"] it reads a value that nothing before it defines, got \"z\"." + kRemedy,
                resolve({operation("relu", "y", {{"x", "z"}}, kWide)}, "y"));
  CHECK_REFUSED(TT_ERROR_FORMAT, "[add \"y\"] parameter \"y\" is missing." + kRemedy,
                resolve({operation("add", "y", {{"x", "x"}}, kWide)}, "y"));
  // Found by fuzzing: the loader took the value of any op for a checked constant.
  Message disguised = operation("relu", "y", {{"x", "x"}}, kWide);
  disguised.message(5, map_entry("val", floats_value({1}, {1u << 20})));
  CHECK_REFUSED(TT_ERROR_FORMAT, "[relu \"y\"] only a const may have a value." + kRemedy,
                resolve({disguised}, "y"));
  CHECK_REFUSED(
      TT_ERROR_UNSUPPORTED,
      "[relu \"y\"] unknown parameter \"slope\", expected x. Convert the model for iOS18 or earlier.",
      resolve({operation("relu", "y", {{"x", "x"}, {"slope", "x"}}, kWide)}, "y"));
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[function \"main\"] it reads a value that nothing before it defines, got \"q\"." + kRemedy,
                resolve({operation("relu", "y", {{"x", "x"}}, kWide)}, "q"));
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[const \"c\"] the constant is not what its output declares, got float32 [2], expected "
                "float32 [2, 3]." +
                    kRemedy,
                resolve({constant("c", floats_value({1, 2}, {2}), kWide)}, "c"));
  CHECK_REFUSED(TT_ERROR_FORMAT,
                "[const \"c\"] a constant's value does not fill its type, got 8 bytes, expected 24 for "
                "float32 [2, 3]." +
                    kRemedy,
                resolve({constant("c", floats_value({1, 2}, {2, 3}), kWide)}, "c"));
  CHECK_REFUSED(
      TT_ERROR_UNSUPPORTED,
      "[relu \"y\"] an element type is unknown here, got dtype 77, expected one of MIL's up to iOS18. "
      "Convert the model for iOS18 or earlier.",
      resolve({operation("relu", "y", {{"x", "x"}}, tensor_type(77, {2, 3}))}, "y"));
}

TEST(refuses_impossible_sizes) {
  std::string text = check::refusal(
      TT_ERROR_FORMAT,
      [] {
        resolve({operation("relu", "y", {{"x", "x"}}, tensor_type(kFloat32, {1u << 30, 1u << 30}))}, "y");
      },
      __FILE__, __LINE__);
  CHECK(text.find("a tensor float32 [1073741824, 1073741824] has too many elements") != std::string::npos);
  text = check::refusal(
      TT_ERROR_FORMAT,
      [] {
        resolve({operation("relu", "y", {{"x", "x"}}, tensor_type(kFloat32, {uint64_t{1} << 40}))}, "y");
      },
      __FILE__, __LINE__);
  CHECK(text.find("a dimension of 1099511627776 is too long") != std::string::npos);
  text = check::refusal(
      TT_ERROR_FORMAT,
      [] {
        resolve({operation("relu", "y", {{"x", "x"}}, tensor_type(kFloat32, {1, 1, 1, 1, 1, 1, 1, 1, 1}))},
                "y");
      },
      __FILE__, __LINE__);
  CHECK(text.find("rank 9 is above 8") != std::string::npos);
}

TEST(refuses_models_of_another_kind) {
  std::string network = Message().varint(1, 4).message(500, Message()).text();
  auto parse = [&](const std::string& text) {
    parse_specification({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  };
  CHECK_REFUSED(
      TT_ERROR_UNSUPPORTED,
      "[model.mlmodel] the package holds another kind of model, got Model.proto's kind 500, expected an ML "
      "Program (502). Convert it with convert_to=\"mlprogram\".",
      parse(network));
  CHECK_REFUSED(TT_ERROR_FORMAT, "[model.mlmodel] the file holds no ML Program, got 0 bytes." + kRemedy,
                parse(""));
}

TEST(table_has_one_entry_an_op) {
  std::vector<std::string> names = op_names();
  CHECK(names.size() >= 120);
  for (const std::string& name : names) CHECK(find_op(name)->run_one || find_op(name)->run_many);
  CHECK(find_op("no such op") == nullptr);
}

int main() {
  return check::run_all();
}
