"""What a GPU kernel may get wrong, each a small change of the code, and the tests of the emulated chip
that have to notice it."""

from mistakes import Mistake

KERNELS = "src/backends/gpu/kernels/"


def kernel_mistake(name, file, old, new, tests):
    return Mistake(name, KERNELS + file, old, new, "gpu_kernels_test", tests)


GPU_MISTAKES = [
    kernel_mistake(
        "columns behind a weight's last are multiplied",
        "product.h",
        "is_there && column < end);",
        "is_there);",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "a weight whose rows are short is read to the end of a step",
        "product.h",
        "is_there && column + e < end ?",
        "is_there ?",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "a block's scale is that of the one before",
        "product.h",
        "add_scaled(total, part, s * kProductStep / depth.block_k, weight_row);",
        "add_scaled(total, part, (s > 1 ? s - 2 : s) * kProductStep / depth.block_k, weight_row);",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "products of a block of scales are not cleared",
        "product.h",
        "part[c].v[e] = 0;",
        "",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "a row has the scale of the first one",
        "weights.h",
        "row.scale = scale + i / shape.block_n *",
        "row.scale = scale + 0 / shape.block_n *",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "many rows sum in another order than one",
        "product.h",
        "for (int k = 0; k < kProductStep; k += Unit::kDepth) {",
        "for (int i = 0; i < kProductStep; i += Unit::kDepth) {\n"
        "      const int k = kTokens == 16 ? i : kProductStep - Unit::kDepth - i;",
        "GpuLinear.ARow*",
    ),
    kernel_mistake(
        "rows behind the last token are written",
        "linear.cpp",
        "if (first_token + t >= call.tokens || first_row + m >= call.weights.shape.n) continue;",
        "if (first_row + m >= call.weights.shape.n) continue;",
        "GpuLinear.*",
    ),
    kernel_mistake(
        "a query of decode sees no token of its own",
        "mla/mla_decode_ends.cpp",
        "sequence.context + i + 1,",
        "sequence.context + i + (i > 0 ? 0 : 1),",
        "GpuMlaDecode.*",
    ),
    kernel_mistake(
        "positions behind a segment's last have a score",
        "mla/mla_decode_segments.cpp",
        "if (p0 + p >= end) return float_of(0xff800000);",
        "",
        "GpuMlaDecode.*",
    ),
    kernel_mistake(
        "a segment's results are not scaled when a greater score comes",
        "mla/mla_decode_segments.cpp",
        "out[c].v[e] *= load(memory.factors, Unit::column(e));",
        "",
        "GpuMlaDecode.*",
    ),
    kernel_mistake(
        "segments are added as if their greatest scores were one",
        "mla/mla_decode_ends.cpp",
        "      value = fma(load(call.segment_out, (first + s) * latent + i), factor, value);",
        "      value += factor * 0 + load(call.segment_out, (first + s) * latent + i);",
        "GpuMlaDecode.*",
    ),
    kernel_mistake(
        "segments depend on how many queries there are",
        "mla/mla_decode_parts.h",
        "int length = kShortestSegment;",
        "int length = max_queries > 1 ? 2 * kShortestSegment : kShortestSegment;",
        "GpuMlaDecode.ARow*",
    ),
    kernel_mistake(
        "a query of prefill sees the position behind it",
        "mla/mla_prefill_attend.cpp",
        "sequence.context + own_first + row + 1 : 1;",
        "sequence.context + own_first + row + 2 : 1;",
        "GpuMlaPrefill.*",
    ),
    kernel_mistake(
        "keys keep the rotated part of another position",
        "mla/mla_sequences.h",
        "* block_size + position % block_size;",
        "* block_size + (position + 1) % block_size;",
        "GpuMlaPrefill.*",
    ),
    kernel_mistake(
        "rotated the other way",
        "mla/mla_prepare.cpp",
        "narrow<bf16>(even * cosine - odd * sine)",
        "narrow<bf16>(even * cosine + odd * sine)",
        "GpuMlaPrepare.*",
    ),
    kernel_mistake(
        "an expert's last tile of tokens has one too few",
        "moe/moe_experts_sort.cpp",
        "left < call.tile_tokens ? left : call.tile_tokens);",
        "left < call.tile_tokens && left > 1 ? left - 1 : left);",
        "GpuMoeExperts.*",
    ),
    kernel_mistake(
        "up is multiplied with the rows of gate",
        "moe/moe_experts_products.cpp",
        "load(results, at + kValues)",
        "load(results, at)",
        "GpuMoeExperts.*",
    ),
    kernel_mistake(
        "an expert of another rank is added",
        "moe/moe_experts_products.cpp",
        "if (call.expert_of(pair) < 0) continue;",
        "",
        "GpuMoeExperts.*",
    ),
    kernel_mistake(
        "of equal experts the last one is chosen",
        "ranked.h",
        "<< 32 | (0xffffffffu - static_cast<uint32_t>(index));",
        "<< 32 | static_cast<uint32_t>(index);",
        "GpuMoeGate.*",
    ),
    kernel_mistake(
        "experts of groups that were not chosen stay open",
        "moe/moe_gate.cpp",
        "if (load(memory.groups, e / size) != 0)",
        "if (load(memory.groups, e / size) == 1)",
        "GpuMoeGate.*",
    ),
    kernel_mistake(
        "top_k keeps one more",
        "sample.cpp",
        "const auto kept = static_cast<uint64_t>(top_k);",
        "const auto kept = static_cast<uint64_t>(top_k) + 1;",
        "GpuSample.*",
    ),
    kernel_mistake(
        "top_p is rounded down",
        "sampling_rule.h",
        "+ (total * share != 0 ? 1 : 0);",
        ";",
        "GpuSample.*",
    ),
]
