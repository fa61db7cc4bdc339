#include "models/deepseek_v3/config/config_rope.h"

#include <cmath>

#include "models/deepseek_v3/config/rope.h"

namespace fathom::models::deepseek_v3 {

using nlohmann::json;

namespace {

struct Rope {
  std::optional<double> theta;
  std::optional<YarnScaling> yarn;
};

void read_theta(FieldReader& fields, std::optional<double>& theta) {
  double value = 0;
  fields.number("rope_theta", 2, 1e12, value);
  if (fields.has("rope_theta")) theta = value;
}

// What transformers may write beside the other fields; it follows from them, or is another rope.
void check_attention_factor(FieldReader& fields, const YarnScaling& yarn) {
  double factor =
      yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim);
  const double expected = factor;
  fields.number("attention_factor", 0, 1e6, factor);
  if (std::abs(factor - expected) > 1e-6) {
    fields.fail("attention_factor",
                "the one that mscale and mscale_all_dim give, " + std::to_string(expected), factor);
  }
}

YarnScaling read_yarn(FieldReader& fields) {
  YarnScaling yarn;
  fields.number("factor", 1, 1e6, yarn.factor, true);
  fields.integer("original_max_position_embeddings", 1, int64_t{1} << 24,
                 yarn.original_max_positions, true);
  fields.number("beta_fast", 1e-3, 1e6, yarn.beta_fast);
  fields.number("beta_slow", 1e-3, 1e6, yarn.beta_slow);
  fields.number("mscale", 0, 100, yarn.mscale);
  fields.number("mscale_all_dim", 0, 100, yarn.mscale_all_dim);
  fields.only("truncate", true);
  check_attention_factor(fields, yarn);
  return yarn;
}

Result<Rope> read_scaling(const json& object, const std::string& name) {
  if (!object.is_object()) return unsupported_field(name, "an object or null", object);
  FieldReader fields(object, name + ".");
  Rope rope;
  read_theta(fields, rope.theta);
  fields.only("partial_rotary_factor", 1.0);
  const char* key = fields.has("type") ? "type" : "rope_type";
  const auto type = fields.text(key, fields.has("factor") ? "" : "default");
  if (fields.has("rope_type")) fields.only("rope_type", type);
  if (type == "yarn") {
    rope.yarn = read_yarn(fields);
  } else if (type != "default") {
    fields.fail(key, "\"yarn\" or \"default\"", type);
  }
  fields.refuse_others([](std::string_view) { return false; });
  FATHOM_TRY(fields.status());
  return rope;
}

}  // namespace

Status read_rope(FieldReader& in, Config& config) {
  std::optional<double> theta;
  read_theta(in, theta);
  in.only("rope_interleave", true);
  in.only("partial_rotary_factor", 1.0);
  FATHOM_TRY(in.status());
  std::optional<Rope> chosen;
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const json* object = in.get(name);
    if (object == nullptr) continue;
    FATHOM_ASSIGN(const Rope rope, read_scaling(*object, name));
    if (theta && rope.theta && *theta != *rope.theta) {
      in.fail("rope_theta", "one number everywhere", *theta);
    }
    if (!theta) theta = rope.theta;
    if (chosen && chosen->yarn != rope.yarn) {
      in.fail(name, "what rope_scaling says, or null there", *object);
    }
    chosen = rope;
  }
  if (chosen) config.yarn = chosen->yarn;
  config.rope_theta = theta.value_or(config.rope_theta);
  return in.status();
}

}  // namespace fathom::models::deepseek_v3
