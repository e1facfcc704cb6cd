#include <map>
#include <string>
#include <vector>

#include "run/classifier.h"
#include "run/model.h"

namespace tintype {

namespace {

using Counts = std::map<std::string, int64_t>;

// Ops as the package has them, and by the names of those that run as one.
void count_ops(const std::vector<Operation>& operations, Counts& counts, Counts* joined) {
  for (const Operation& operation : operations) {
    for (const Block& inner : operation.blocks) count_ops(inner.operations, counts, joined);
    if (operation.parts.empty()) {
      ++counts[operation.type];
      continue;
    }
    if (joined) ++(*joined)[operation.type];
    count_ops(operation.parts, counts, nullptr);
  }
}

Json as_json(const Counts& counts) {
  Json object = Json::object();
  for (const auto& [name, count] : counts) object.set(name, Json::integer(count));
  return object;
}

}  // namespace

Json Model::metadata() const {
  Json functions = Json::object();
  for (const LoadedFunction& function : functions_) {
    Counts ops, joined;
    count_ops(function.program->block.operations, ops, &joined);
    Json described = Json::object()
                         .set("opset", Json::string(function.program->opset))
                         .set("ops", as_json(ops))
                         .set("fused", as_json(joined));
    if (auto classifier = describe_classifier(*function.program)) described.set("classifier", *classifier);
    functions.set(function.program->name, described);
  }
  int64_t parameters = 0;
  for (const auto& [place, count] : parameters_) parameters += count;
  Json metadata = Json::object();
  for (const auto& [key, value] : package_.specification.metadata) metadata.set(key, Json::string(value));
  return Json::object()
      .set("specification_version", Json::integer(package_.specification.version))
      .set("functions", functions)
      .set("parameters", Json::integer(parameters))
      .set("weight_bytes", Json::integer(static_cast<long long>(package_.weight_bytes())))
      .set("metadata", metadata);
}

}  // namespace tintype
