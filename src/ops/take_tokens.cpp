#include "base/check.h"
#include "ops/ops.h"

namespace fathom::ops {
namespace {

constexpr int32_t kFirst = -2;  // stands for drawn[0]

fathom_take_tokens_args take_args(int32_t* tokens, int64_t count, const int32_t* drawn,
                                  int64_t max_drawn) {
  return {sizeof(fathom_take_tokens_args), tokens, count, drawn, max_drawn};
}

void check_drawn(std::span<const int32_t> on_host, int64_t max_drawn) {
  for (const int32_t token : on_host) {
    FATHOM_CHECK(kFirst - token < max_drawn, "take_tokens: expected tokens of draws");
  }
}

}  // namespace

Status take_tokens(Context& context, std::span<const int32_t> on_host, int32_t* tokens,
                   const int32_t* drawn, int64_t max_drawn) {
  check_drawn(on_host, max_drawn);
  const auto args = take_args(tokens, static_cast<int64_t>(on_host.size()), drawn, max_drawn);
  return context.device.run(FATHOM_OP_TAKE_TOKENS, &args);
}

Status copy_tokens(device::Device& device, std::span<const int32_t> on_host, int32_t* tokens,
                   const int32_t* drawn, int64_t max_drawn) {
  check_drawn(on_host, max_drawn);
  for (size_t i = 0; i < on_host.size(); ++i) {
    if (on_host[i] > kFirst) continue;
    FATHOM_TRY(device.copy_on_device(tokens + i, drawn + (kFirst - on_host[i]), sizeof(*tokens)));
  }
  return {};
}

bool can_take_tokens(const device::Device& device) {
  const auto args = take_args(nullptr, 1, nullptr, 1);
  return device.supports(FATHOM_OP_TAKE_TOKENS, &args);
}

}  // namespace fathom::ops
