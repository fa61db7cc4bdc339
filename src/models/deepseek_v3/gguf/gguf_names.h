// How llama.cpp's architecture "deepseek2" calls the tensors of a checkpoint.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::models::deepseek_v3 {

struct GgufPlace {
  std::string tensor;   // "blk.3.ffn_up_exps.weight"; "" for tensors it does not have
  int64_t expert = -1;  // which of the experts in that tensor; -1: the tensor is this matrix alone
};

// kv_b_proj is one tensor, attn_kv_b, in old files; in new ones split_kv_b() names two.
GgufPlace gguf_place(const std::string& released_name);

bool is_kv_b(const std::string& released_name);

// Of "model.layers.N.self_attn.kv_b_proj.weight": attn_k_b, for each head its nope rows transposed
// [kv_lora, nope], and attn_v_b, for each head its v rows [v, kv_lora].
struct SplitKvB {
  std::string k;
  std::string v;
};
SplitKvB split_kv_b(const std::string& released_name);

}  // namespace fathom::models::deepseek_v3
