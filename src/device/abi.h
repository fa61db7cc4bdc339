/*
 * Fathom's chip contract, version 2: all that a chip's vendor needs to run DeepSeek-V3 and R1.
 *
 * A chip is one shared library, libfathom-NAME.so, that exports one function:
 *
 *     const fathom_backend* fathom_backend_entry(uint32_t host_abi_version);
 *
 * It returns a table that lives as long as the library, or NULL if it cannot serve that version
 * of the contract. The host never calls anything else in the library. The CPU backend
 * (src/backends/cpu) implements this same table and is the example to read.
 *
 * Rules that hold for every function below
 *  - Plain C, no exceptions across the border, no ownership passed unless said.
 *  - A function returns FATHOM_OK or a status; after a failure last_error() says why, in one
 *    line an operator can act on. The text stays valid until the same thread's next call.
 *  - Every structure begins with `size`, its sizeof() as the caller compiled it. A later version
 *    only appends fields: read a field only if `size` covers it; treat one that is missing as 0.
 *  - Addresses of device memory are the chip's. The host does arithmetic on them, keeps them and
 *    hands them back, but reads and writes what lies there only by this table's copies, unless the
 *    chip says FATHOM_CAP_HOST_MEMORY. Every pointer in an operator's arguments is such an address.
 *  - Work is queued on a stream and runs in the order it was queued, while the host goes on.
 *    Streams run beside each other; only events order them.
 *  - Argument structures are read during the call and not after it; the device memory they point to
 *    is read and written when the work runs. What goes wrong then is told by the next call on that
 *    stream, at the latest by stream_synchronize(); that call itself does nothing else, and work
 *    queued behind the failure until then may have been dropped.
 *  - What changes from step to step lies in device memory, where one copy put it. Arguments carry
 *    capacities, so that work recorded once can run again for other rows and sequences.
 *  - Numbers in device memory (tokens, counts, block numbers, addresses of experts) are the host's
 *    to get right. A chip may check them and fail with FATHOM_INVALID; it need not.
 *  - One thread at a time calls functions of a device. Three may be called beside any other: pack()
 *    while weights load, comm_abort(), and last_error(), which is each thread's own.
 *  - alloc(), host_alloc() and their counterparts, create and destroy functions, pack(),
 *    self_test() and measure_limits() are called while a model loads and ends, never in a step:
 *    they may be slow and may wait for the chip. So no call in a step needs memory.
 *    FATHOM_NO_MEMORY is no failure of the device: what was there before stays whole, and the host
 *    says what did not fit.
 *  - After FATHOM_DEVICE_LOST every further call on the device returns it, supports(),
 *    workspace_bytes() and pack_bytes() too; free(), device_close() and the destroy functions
 *    return without waiting for the chip.
 *  - Kernels are stateless and allocate nothing: scratch memory is given by the caller, who asked
 *    workspace_bytes() for the amount beforehand.
 *  - Tensors are dense in their last dimension. Index arithmetic must be 64-bit: one weight may
 *    exceed 2^31 elements.
 *  - Floating-point results of one row (one token) must not depend on how many other rows the
 *    call carries, nor on how a sequence was cut into calls: this is what makes an answer the
 *    same whatever else is in the batch. A chip that cannot promise it leaves
 *    FATHOM_CAP_BATCH_INVARIANT out of its capabilities.
 */
#ifndef FATHOM_DEVICE_ABI_H
#define FATHOM_DEVICE_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FATHOM_ABI_VERSION 2u

/* ------------------------------------------------------------------ status, types, tensors */

typedef enum fathom_status {
  FATHOM_OK = 0,
  FATHOM_INVALID = 1,     /* the arguments contradict the contract */
  FATHOM_UNSUPPORTED = 2, /* this chip has no kernel for these shapes or formats */
  FATHOM_NO_MEMORY = 3,
  FATHOM_DEVICE_LOST = 4, /* the chip or its driver failed; the process should restart */
  FATHOM_INTERNAL = 5
} fathom_status;

typedef enum fathom_dtype {
  FATHOM_F32 = 1,
  FATHOM_BF16 = 2,
  FATHOM_F16 = 3,
  FATHOM_F8_E4M3 = 4, /* OCP E4M3FN: no infinities, 0x7f and 0xff are NaN, largest 448 */
  FATHOM_I8 = 5,
  FATHOM_I32 = 6,
  FATHOM_I64 = 7,
  FATHOM_I4 = 8 /* weights only: two a byte, the even column in the low half, each less 8 */
} fathom_dtype;

#define FATHOM_MAX_RANK 4

/* A view of device memory. Unused shape entries are 1. Strides count elements; the last is 1. */
typedef struct fathom_tensor {
  void* data;
  int32_t dtype; /* fathom_dtype */
  int32_t rank;
  int64_t shape[FATHOM_MAX_RANK];
  int64_t stride[FATHOM_MAX_RANK];
} fathom_tensor;

/*
 * A linear weight W [n, k]: y = x W^T. With layout FATHOM_LAYOUT_ROWS it is row-major as released:
 * F32, BF16: `scale` is unused.
 * F8_E4M3: the real weight is data[i, j] * scale[i / block_n, j / block_k], scale F32
 *   [ceil(n / block_n), ceil(k / block_k)] (DeepSeek's weight_scale_inv, 128 x 128 blocks, the last
 *   ones cut off at the edge).
 * I8: likewise with block_n 1; data in [-127, 127].
 * I4: likewise with block_n 1; k is even, block_k a multiple of 32, data in [-8, 7], and each scale
 *   is a number that half precision (F16) holds exactly, so a chip may store it so.
 * Any other layout is the chip's own, made by its pack() for one operator and given to no other.
 */
#define FATHOM_LAYOUT_ROWS 0

typedef struct fathom_weight {
  const void* data;
  const float* scale;
  int32_t dtype; /* fathom_dtype */
  int32_t block_n;
  int32_t block_k;
  int32_t layout; /* FATHOM_LAYOUT_ROWS, or the chip's own */
  int64_t n;
  int64_t k;
} fathom_weight;

/* ------------------------------------------------------------------ operator arguments
 *
 * T is the number of tokens of the step, H the hidden size. Activations are F32 or BF16 as the
 * device's `activation_dtype` says; all activations of one call have that type.
 */

typedef enum fathom_op {
  FATHOM_OP_EMBED = 0,
  FATHOM_OP_RMS_NORM = 1,
  FATHOM_OP_LINEAR = 2,
  FATHOM_OP_SILU_MUL = 3,
  FATHOM_OP_MLA_PREPARE = 4,
  FATHOM_OP_MLA_PREFILL = 5,
  FATHOM_OP_MLA_DECODE = 6,
  FATHOM_OP_MOE_GATE = 7,
  FATHOM_OP_MOE_EXPERTS = 8,
  FATHOM_OP_ADD = 9,
  FATHOM_OP_LOGITS_STATS = 10,
  FATHOM_OP_SAMPLE = 11,
  FATHOM_OP_TAKE_TOKENS = 12,
  FATHOM_OP_MOE_DISPATCH = 13,
  FATHOM_OP_MOE_COMBINE = 14,
  FATHOM_OP_COUNT = 15
} fathom_op;

/*
 * Optional operators, and what the host does without them:
 *  - SAMPLE: logits go to the host, which draws itself. TAKE_TOKENS: copies of single tokens.
 *  - MOE_DISPATCH and MOE_COMBINE: collectives (comm_*), or copies through the host.
 * All others are required.
 */

/* out[t] = table[tokens[t]], or zeros where tokens[t] is -1: another rank has that row. */
typedef struct fathom_embed_args {
  size_t size;
  const int32_t* tokens; /* [T], each in [-1, table.n) */
  int64_t num_tokens;
  fathom_weight table; /* [vocab, H] */
  fathom_tensor out;   /* [T, H] */
} fathom_embed_args;

/*
 * Root mean square norm, with the residual stream folded in.
 * With residual: residual += x (stored), out = norm(residual) * weight. Without: out = norm(x) *
 * weight. norm(v) = v / sqrt(mean(v^2) + eps). `out` may be `x`.
 */
typedef struct fathom_rms_norm_args {
  size_t size;
  fathom_tensor x;        /* [T, H] */
  fathom_tensor residual; /* [T, H], or data NULL */
  const float* weight;    /* F32 [H] */
  float eps;
  float reserved;
  fathom_tensor out; /* [T, H] */
} fathom_rms_norm_args;

/* out = x W^T; out may be F32 whatever the activation type is (the head's logits, the gate). */
typedef struct fathom_linear_args {
  size_t size;
  fathom_tensor x; /* [T, k] */
  fathom_weight weight;
  fathom_tensor out; /* [T, n] */
} fathom_linear_args;

/* out[t, i] = silu(gate[t, i]) * up[t, i], silu(v) = v / (1 + exp(-v)). `out` may be `gate`. */
typedef struct fathom_silu_mul_args {
  size_t size;
  fathom_tensor gate; /* [T, I] */
  fathom_tensor up;   /* [T, I] */
  fathom_tensor out;  /* [T, I] */
} fathom_silu_mul_args;

/* x += y. */
typedef struct fathom_add_args {
  size_t size;
  fathom_tensor x; /* [T, H], read and written */
  fathom_tensor y; /* [T, H] */
} fathom_add_args;

/*
 * The latent cache of one layer, F32 or BF16. A token's entry is its normed latent and its rotated
 * key: all that MLA keeps (DeepSeek-V2 paper, section 2.1.2). They lie in one row, the latent
 * first, or in two planes, as device_info.kv_planes says. Position p of a sequence lies in block
 * block_table[p / block_size] at row p % block_size.
 */
typedef struct fathom_kv_cache {
  void* data;    /* [num_blocks, block_size, kv_lora_rank + rope_dim]; the first of two planes:
                    [num_blocks, block_size, kv_lora_rank] */
  int32_t dtype; /* fathom_dtype */
  int32_t block_size;
  int64_t num_blocks;
  void* rope; /* NULL; the second of two planes: [num_blocks, block_size, rope_dim] */
} fathom_kv_cache;

typedef struct fathom_mla_shape {
  int32_t num_heads;
  int32_t kv_lora_rank;
  int32_t nope_dim;
  int32_t rope_dim;
  int32_t v_dim;
  float softmax_scale; /* (nope_dim + rope_dim)^-0.5, times YaRN's mscale^2 where it applies */
} fathom_mla_shape;

/*
 * One sequence's part of a step, in device memory: query rows [query_begin, query_begin +
 * query_count) hold its positions [context, context + query_count); every earlier position is in
 * the cache. Its block table is blocks[block_begin], ..., long enough for all of its positions.
 */
typedef struct fathom_sequence {
  int32_t query_begin;
  int32_t query_count;
  int32_t context;
  int32_t block_begin;
} fathom_sequence;

/*
 * The sequences of one attention call. How many there are is known when the work runs; `max_`
 * fields are what it may be at most, in this step and in every other that replays the call.
 */
typedef struct fathom_sequences {
  const fathom_sequence* sequences; /* [max_sequences] */
  const int32_t* count;             /* one number, in [0, max_sequences] */
  const int32_t* blocks; /* [max_blocks]: block numbers, the sequences' tables behind each other */
  int32_t max_sequences;
  int32_t max_queries;   /* of all sequences together */
  int64_t max_positions; /* context + query_count of one sequence */
  int64_t max_blocks;    /* numbers in `blocks` */
} fathom_sequences;

/*
 * Rotates q_pe in place, norms the latent, rotates k_pe and writes both to the cache.
 * Rotation is of neighbouring pairs (2i, 2i+1) by angle index i, as the released weights expect.
 */
typedef struct fathom_mla_prepare_args {
  size_t size;
  fathom_mla_shape shape;
  fathom_tensor q;      /* [T, num_heads * (nope_dim + rope_dim)], rope part rewritten */
  fathom_tensor kv_a;   /* [T, kv_lora_rank + rope_dim], straight from kv_a_proj */
  const float* kv_norm; /* F32 [kv_lora_rank] */
  float eps;
  int32_t max_positions;    /* rows of cos_sin */
  const float* cos_sin;     /* F32 [max_positions, rope_dim]: cos of each pair, then sin */
  const int32_t* positions; /* [T], each in [0, max_positions) */
  const int64_t* slots;     /* [T]: block * block_size + row to write */
  fathom_kv_cache cache;
} fathom_mla_prepare_args;

/*
 * Attention of the step's queries over the cached latents, causal inside each sequence.
 * MLA_PREFILL expands keys and values by wkv_b; MLA_DECODE folds wkv_b into the query and the
 * output (absorbed form). Same arguments, same mathematics, different rounding: which one a token
 * takes depends only on whether it was given or generated, never on the batch. Both read the
 * queries' own latents from the cache, where MLA_PREPARE of the same step put them.
 */
typedef struct fathom_mla_attention_args {
  size_t size;
  fathom_mla_shape shape;
  fathom_tensor q;     /* [T, num_heads * (nope_dim + rope_dim)], rotated */
  fathom_weight wkv_b; /* [num_heads * (nope_dim + v_dim), kv_lora_rank] */
  fathom_kv_cache cache;
  fathom_sequences sequences; /* rows of q in none of them are left alone */
  fathom_tensor out;          /* [T, num_heads * v_dim] */
  void* workspace;
  size_t workspace_bytes;
} fathom_mla_attention_args;

typedef enum fathom_gate_kind {
  FATHOM_GATE_NOAUX_TC = 0,      /* V3: sigmoid scores, correction bias, groups by best two */
  FATHOM_GATE_SOFTMAX = 1,       /* V2-Lite: softmax scores, best top_k ("greedy") */
  FATHOM_GATE_SOFTMAX_GROUPS = 2 /* V2: softmax scores, groups by their best one */
} fathom_gate_kind;

/*
 * Chooses experts from router logits (DeepSeek-V3 paper, sections 2.1.2 and 4.2). NOAUX_TC adds
 * `bias` to the scores for choosing only; the weights are the scores without it. Ties go to the
 * lower index. Chosen experts are listed by falling choice score. `normalize` divides the weights
 * by their sum (+1e-20); then they are multiplied by `scale`.
 */
typedef struct fathom_moe_gate_args {
  size_t size;
  fathom_tensor logits; /* F32 [T, num_experts] */
  const float* bias;    /* F32 [num_experts], or NULL */
  int32_t kind;         /* fathom_gate_kind */
  int32_t top_k;
  int32_t num_groups; /* 1 where there are none */
  int32_t top_groups;
  int32_t normalize;
  float scale;
  int32_t* expert_ids;   /* out [T, top_k] */
  float* expert_weights; /* out [T, top_k] */
  /* One number: rows from it on are padding. They choose expert -1 with weight 0 and are not
     counted. NULL: no row is padding. */
  const int32_t* rows;
  int64_t* loads; /* [num_experts], or NULL; loads[e] += how often e was chosen */
} fathom_moe_gate_args;

/* Where one expert's weights lie. Scales as fathom_weight says, NULL where the format has none. */
typedef struct fathom_expert {
  const void* gate;
  const void* up;
  const void* down;
  const float* gate_scale;
  const float* up_scale;
  const float* down_scale;
} fathom_expert;

/*
 * Grouped SwiGLU experts: out[t] (+)= sum over j of expert_weights[t, j] *
 * down_e(silu(gate_e(x[t])) * up_e(x[t])), e = expert_ids[t, j]. The sum runs over j in rising
 * order. An id outside [first_expert, first_expert + num_experts) adds nothing: another rank has
 * it. All experts of a call have one format and one shape. Between steps the host may write other
 * addresses into `experts`: the balancer's way of putting an expert elsewhere.
 */
typedef struct fathom_moe_experts_args {
  size_t size;
  fathom_tensor x;             /* [T, H] */
  const int32_t* expert_ids;   /* [T, top_k] */
  const float* expert_weights; /* [T, top_k] */
  int32_t top_k;
  int32_t accumulate; /* 0: out is overwritten; 1: added to */
  int64_t first_expert;
  int64_t num_experts;
  const fathom_expert* experts; /* [num_experts], all of them filled in */
  fathom_weight gate;           /* format and shape of each, [I, H]; data and scale are NULL */
  fathom_weight up;             /* likewise [I, H] */
  fathom_weight down;           /* likewise [H, I] */
  fathom_tensor out;            /* [T, H] */
  void* workspace;
  size_t workspace_bytes;
} fathom_moe_experts_args;

/* For each row: its greatest value, the lowest index that has it, and log(sum(exp(logits))). */
typedef struct fathom_logits_stats_args {
  size_t size;
  fathom_tensor logits; /* F32 [T, vocab] */
  float* max_value;     /* out [T] */
  int32_t* max_index;   /* out [T] */
  float* log_sum_exp;   /* out [T] */
} fathom_logits_stats_args;

/*
 * tokens[i] = drawn[-2 - tokens[i]] where tokens[i] is below -1: a step takes the tokens that the
 * step before it drew, which the host need not know yet. What was drawn as -1 stays -1.
 */
typedef struct fathom_take_tokens_args {
  size_t size;
  int32_t* tokens; /* [T], read and written */
  int64_t num_tokens;
  const int32_t* drawn; /* [max_drawn] */
  int64_t max_drawn;
} fathom_take_tokens_args;

/*
 * What one token is drawn for. src/sampling/rule.h says to the last bit what is drawn, whatever the
 * order of additions and the width of a warp; these are its inputs by the same names. Lists that
 * belong to a draw are [begin, begin + count) of an array that all draws share, counted in entries;
 * of an empty list count is 0, and begin means nothing.
 */
typedef struct fathom_draw {
  uint64_t share; /* top_p; 0: off */
  uint64_t noise; /* noise_bits(seed, position) */
  int32_t logit_row;
  int32_t greedy;
  float repetition_penalty;
  float inverse_repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  float inverse_temperature;
  float least_exponent;
  int32_t top_k; /* 0: off */
  int32_t mask;  /* which of `masks`; -1: all tokens are allowed */
  int32_t seen_begin;
  int32_t seen_count;
  int32_t bias_begin;
  int32_t bias_count;
  int32_t banned_begin;
  int32_t banned_count;
} fathom_draw;

/* A token of the prompt or of the answer so far, once in a list. */
typedef struct fathom_seen_token {
  int32_t token;
  int32_t count; /* in the answer alone */
} fathom_seen_token;

/* Entries of one token stand together in a list and are added one after the other. */
typedef struct fathom_token_bias {
  int32_t token;
  float bias;
} fathom_token_bias;

/*
 * tokens[i] = the token of draw i, -1 where none has a finite logit or none that has is allowed.
 * Entries from *num_draws on are left alone. Logits are left as they are.
 *
 * How long the arrays are is said by the first *num_draws draws, so in device memory like them:
 * `seen`, `biases` and `banned` reach to the greatest begin + count of a list that is not empty,
 * `masks` to the greatest `mask`. Where no draw has any, an array is empty and its address may be
 * any. Two draws may name one mask.
 */
typedef struct fathom_sample_args {
  size_t size;
  fathom_tensor logits;     /* F32 [L, vocab] */
  const fathom_draw* draws; /* [max_draws] */
  const int32_t* num_draws; /* one number, in [0, max_draws] */
  int64_t max_draws;
  /* [masks, ceil(vocab / 32)], at most max_draws; token t is bit t % 32 of word t / 32 */
  const uint32_t* masks;
  const fathom_seen_token* seen;   /* by fathom_draw.seen_begin and seen_count */
  const fathom_token_bias* biases; /* by bias_begin and bias_count */
  const int32_t* banned;           /* by banned_begin and banned_count */
  int32_t* tokens;                 /* out [max_draws] */
  void* workspace;
  size_t workspace_bytes;
} fathom_sample_args;

typedef struct fathom_comm fathom_comm; /* the ranks of a group, as one of them sees it */

/*
 * Experts on the ranks of `comm`: rank r has [r * experts_a_rank, (r + 1) * experts_a_rank) of the
 * places that expert_ids count. A row goes to each rank that has a place it chose, once. No row is
 * dropped: every rank has room for all rows of all ranks.
 * Collective, like comm_*: every rank calls both in the same order, those without rows too.
 * MOE_DISPATCH: `out` are the rows that came, one behind the other in the order of ranks, then of
 *   rows, with what they chose; places of other ranks are -1 there, and so are all of the rows
 *   behind the last one that came. counts[r] says how many came from rank r.
 * MOE_COMBINE: takes them back: x[t] (+)= the sum over ranks in rising order of what each made of
 *   row t, in F32, rounded once; it is 0 of a rank that the row did not go to. Its arguments are
 *   those of the dispatch before it, but for `x`, which it writes, and `out`, which it reads.
 */
typedef struct fathom_moe_exchange_args {
  size_t size;
  fathom_comm* comm;
  int64_t experts_a_rank;
  int32_t top_k;
  int32_t accumulate;          /* of MOE_COMBINE: 0: x is overwritten; 1: added to */
  int64_t max_rows;            /* that one rank has at most, on all ranks alike */
  const int32_t* rows;         /* one number: how many of T this rank has */
  fathom_tensor x;             /* [T, H], T at most max_rows; MOE_COMBINE writes it */
  const int32_t* expert_ids;   /* [T, top_k] */
  const float* expert_weights; /* [T, top_k] */
  fathom_tensor out;           /* [ranks * max_rows, H]; MOE_COMBINE takes it back */
  int32_t* out_ids;            /* [ranks * max_rows, top_k], rows that did not come are -1 */
  float* out_weights;          /* likewise */
  int32_t* counts;             /* [ranks] */
  void* workspace;
  size_t workspace_bytes;
} fathom_moe_exchange_args;

/* ------------------------------------------------------------------ devices */
#define FATHOM_CAP_BATCH_INVARIANT 0x1u /* keeps the promise about rows above */
/* the host may read and write device memory itself once its work there was synchronized */
#define FATHOM_CAP_HOST_MEMORY 0x2u
#define FATHOM_CAP_GRAPHS 0x4u          /* graph_* functions are present */
#define FATHOM_CAP_IGNORES_WEIGHTS 0x8u /* reads none: loading only reserves their memory */
#define FATHOM_CAP_COLLECTIVES 0x10u    /* comm_* functions are present */
/* Queued work runs while the host goes on. Without it a call returns when its work is done, and
   there is nothing to gain by queueing a step before the one that runs has ended. */
#define FATHOM_CAP_ASYNCHRONOUS 0x20u

typedef struct fathom_device_info {
  size_t size;
  char name[128];        /* "AMD EPYC 7B13, 2 cores, AVX2" */
  uint64_t memory_bytes; /* in all; 0 if unknown */
  uint64_t memory_free;
  uint32_t capabilities; /* FATHOM_CAP_* */
  int32_t activation_dtype;
  int32_t kv_dtype;   /* what the chip prefers for the latent cache */
  uint32_t alignment; /* of every tensor's first byte, a power of two */
  int32_t kv_planes;  /* of fathom_kv_cache: 1 or 2; 0 is 1 */
  /* Tokens a cache block, the one that the chip reads fastest first; unused entries are 0. All 0:
     any from 16 to 128. */
  int32_t kv_block_sizes[4];
} fathom_device_info;

/*
 * What the chip does at best, measured: the ceilings that `fathom bench` holds its results against.
 * A multiply and an add count as two operations. 0: unknown.
 */
typedef struct fathom_limits {
  size_t size;
  double read_bytes_per_s; /* of a weights-sized range of its memory */
  double int8_ops_per_s;   /* products of int8, summed in int32 */
  double bf16_flops_per_s; /* products of what bf16 weights are multiplied in, summed in F32 */
  double fp8_flops_per_s;  /* likewise of F8_E4M3 weights */
  double int4_ops_per_s;   /* likewise of I4 weights */
  double f32_flops_per_s;
  double write_bytes_per_s;
  double to_device_bytes_per_s; /* from host_alloc() memory */
  double to_host_bytes_per_s;
  double launch_s; /* from one queued kernel's end to the next one's begin */
} fathom_limits;

/* How to open a device. Strings are UTF-8; unknown options are refused with their names. */
typedef struct fathom_device_options {
  size_t size;
  int32_t index;       /* which of device_count() */
  int32_t threads;     /* host threads for chips that use them; 0: the backend's choice */
  const char* kernels; /* kernel set by name ("native", "reference"); NULL: the fastest */
  int32_t pin_threads; /* whether host threads may be pinned to cores; 0: no */
  /* Which of how many processes on this host that divide its cores; index -1: not known. */
  int32_t share_index;
  int32_t share_count;
} fathom_device_options;

/* What ranks that form a group agree on beforehand: one makes it, and the host carries it. */
#define FATHOM_COMM_ID_BYTES 128
typedef struct fathom_comm_id {
  uint8_t bytes[FATHOM_COMM_ID_BYTES];
} fathom_comm_id;

typedef struct fathom_device fathom_device; /* one opened chip */
typedef struct fathom_stream fathom_stream; /* a queue of work on it */
typedef struct fathom_event fathom_event;   /* a point in a stream */
typedef struct fathom_graph fathom_graph;   /* recorded work */

/*
 * The kernel table: index by fathom_op; a NULL entry is an operator the chip lacks. `args` points
 * to that operator's argument structure.
 */
typedef fathom_status (*fathom_kernel)(fathom_device* device, fathom_stream* stream,
                                       const void* args);

typedef struct fathom_backend {
  size_t size;
  uint32_t abi_version; /* FATHOM_ABI_VERSION the library was built with */
  uint32_t reserved;
  const char* name;    /* "cpu"; the NAME of libfathom-NAME.so */
  const char* version; /* of the backend, for the start-up report */

  const char* (*last_error)(void); /* of the calling thread; never NULL */

  fathom_status (*device_count)(int32_t* count);
  fathom_status (*device_open)(const fathom_device_options* options, fathom_device** device);
  void (*device_close)(fathom_device* device);
  fathom_status (*device_info)(fathom_device* device, fathom_device_info* info);

  /*
   * Memory aligned to device_info.alignment, of any contents. Called while loading, never in a
   * step. When it is freed no queued work may use it any more.
   */
  fathom_status (*alloc)(fathom_device* device, size_t bytes, void** memory);
  void (*free)(fathom_device* device, void* memory);
  /* Likewise host memory that copies are fastest from and to (pinned, page-locked). */
  fathom_status (*host_alloc)(fathom_device* device, size_t bytes, void** memory);
  void (*host_free)(fathom_device* device, void* memory);
  /*
   * Makes read-only host memory (a mapped weights file) readable by kernels without a copy; may be
   * NULL. FATHOM_UNSUPPORTED: the host copies instead.
   */
  fathom_status (*map_host)(fathom_device* device, const void* host, size_t bytes,
                            const void** mapped);

  /* At least four streams at a time. Streams and events are destroyed behind their work. */
  fathom_status (*stream_create)(fathom_device* device, fathom_stream** stream);
  void (*stream_destroy)(fathom_device* device, fathom_stream* stream);
  fathom_status (*stream_synchronize)(fathom_device* device, fathom_stream* stream);

  /*
   * Queued copies. Host memory may be any; from host_alloc() it is fastest. It must stay valid,
   * what is copied from it unchanged and what is copied to it unread, until the stream was
   * synchronized.
   */
  fathom_status (*copy_to_device)(fathom_device* device, fathom_stream* stream, void* to,
                                  const void* host, size_t bytes);
  fathom_status (*copy_to_host)(fathom_device* device, fathom_stream* stream, void* host,
                                const void* from, size_t bytes);
  fathom_status (*copy_on_device)(fathom_device* device, fathom_stream* stream, void* to,
                                  const void* from, size_t bytes);

  /*
   * event_record(): the event stands for the point behind all that was queued on the stream so far,
   *   and no longer for any earlier one.
   * event_wait(): what is queued on the stream from now on runs when that point has been reached,
   *   wherever the event is recorded later; it does not hold up the host.
   * event_elapsed_ms(): of two that were recorded; waits until both have been reached.
   * event_query(): *reached is 1 where that point has been reached, else 0; never waits.
   * event_synchronize(): waits until it has been. What failed before it is told by both, as
   *   stream_synchronize() does.
   * An event that was never recorded counts as reached: event_query() gives 1, event_wait() and
   *   event_synchronize() return FATHOM_OK and wait for nothing.
   */
  fathom_status (*event_create)(fathom_device* device, fathom_event** event);
  void (*event_destroy)(fathom_device* device, fathom_event* event);
  fathom_status (*event_record)(fathom_device* device, fathom_stream* stream, fathom_event* event);
  fathom_status (*event_wait)(fathom_device* device, fathom_stream* stream, fathom_event* event);
  fathom_status (*event_elapsed_ms)(fathom_device* device, fathom_event* from, fathom_event* to,
                                    float* milliseconds);

  /*
   * Graphs; all NULL where the chip has none (FATHOM_CAP_GRAPHS). What is queued on the stream
   * between graph_begin() and graph_end() is recorded and does not run: operators, fill() and
   * copies on the device, with the addresses and capacities they were given. graph_launch() queues
   * all of it; what lies in device memory then counts.
   */
  fathom_status (*graph_begin)(fathom_device* device, fathom_stream* stream);
  fathom_status (*graph_end)(fathom_device* device, fathom_stream* stream, fathom_graph** graph);
  fathom_status (*graph_launch)(fathom_device* device, fathom_stream* stream, fathom_graph* graph);
  void (*graph_destroy)(fathom_device* device, fathom_graph* graph);

  fathom_kernel kernels[FATHOM_OP_COUNT];
  /*
   * Whether the kernel takes these arguments: shapes, types and weight formats count, pointers to
   * data are not read and may be NULL. FATHOM_OK or FATHOM_UNSUPPORTED, or
   * FATHOM_DEVICE_LOST, which is no answer.
   */
  fathom_status (*supports)(fathom_device* device, int32_t op, const void* args);
  /*
   * Scratch the kernel needs for these arguments, likewise without reading data. For attention the
   * `max_` fields of its sequences count.
   */
  fathom_status (*workspace_bytes)(fathom_device* device, int32_t op, const void* args,
                                   size_t* bytes);
  /*
   * One line for the start-up report: which path these arguments take ("avx2 fp8 tile 4x2"). Valid
   * until the same thread asks again; may be NULL.
   */
  const char* (*describe)(fathom_device* device, int32_t op, const void* args);

  /*
   * The chip's own layout of a weight, for chips that multiply faster from one (interleaved rows,
   * tiles); both are NULL where there is none. Used while loading.
   * pack_bytes(): what pack() will need for a weight of this format and shape that `op` reads
   * (pointers are not read); 0: `op` wants it in rows.
   * pack(): writes `weight`, whose data and scale are host memory in rows, to device `memory` of
   * that many bytes, and describes the result in `packed`. It is queued nowhere: when it returns,
   * all is written and `weight` may end. It may be called from several threads.
   */
  fathom_status (*pack_bytes)(fathom_device* device, int32_t op, const fathom_weight* weight,
                              size_t* bytes);
  fathom_status (*pack)(fathom_device* device, int32_t op, const fathom_weight* weight,
                        void* memory, fathom_weight* packed);

  /* Measures the limits in about two seconds, while nothing else runs; may be NULL. */
  fathom_status (*measure_limits)(fathom_device* device, fathom_limits* limits);

  fathom_status (*event_query)(fathom_device* device, fathom_event* event, int32_t* reached);
  fathom_status (*event_synchronize)(fathom_device* device, fathom_event* event);

  /* Queued: every byte of the range becomes `value`. */
  fathom_status (*fill)(fathom_device* device, fathom_stream* stream, void* to, uint8_t value,
                        size_t bytes);
  /*
   * Queued: *sum, in device memory, becomes the sum of (2 i + 1) w[i] modulo 2^64, where w are the
   * range's 64-bit little-endian words, the last one filled up with zeros. `from` is aligned to 8
   * bytes. The same whatever the order of additions: weights are checked by it while a service
   * runs.
   */
  fathom_status (*checksum)(fathom_device* device, fathom_stream* stream, const void* from,
                            size_t bytes, uint64_t* sum);

  /*
   * Tests of what only the chip can find out about itself: its shared memory, its matrix units, its
   * links. self_test_name(): the name of test `index`, NULL behind the last one. self_test(): runs
   * one in a few seconds on a device that does nothing else; FATHOM_INTERNAL: it failed, and
   * last_error() says what was expected and what was found. Both NULL where there are none.
   */
  const char* (*self_test_name)(fathom_device* device, int32_t index);
  fathom_status (*self_test)(fathom_device* device, const char* name);

  /*
   * Collectives between devices, one a rank, queued on a stream like any other work; all NULL where
   * the chip has none (FATHOM_CAP_COLLECTIVES): ranks then pass copies through their hosts.
   * Every rank of a group makes the same calls in the same order. Sums are of the ranks' values in
   * the order of ranks, in F32, rounded to `dtype` (F32, BF16) once: all ranks get the same bits,
   * in every run. A chip whose sums differ leaves FATHOM_CAP_BATCH_INVARIANT out. Sizes may be 0
   * and differ by rank; arrays of sizes are host memory with one entry a rank, read during the
   * call.
   *
   * comm_id(): of a new group; one rank calls it. comm_create(): every rank, at the same time;
   * waits for the others, for `deadline_ms` at most. comm_abort(): ends what is queued and waits,
   * on this rank, for ranks that are lost: its streams go on with FATHOM_INTERNAL. Called from any
   * thread; only comm_destroy() may follow.
   */
  fathom_status (*comm_id)(fathom_device* device, fathom_comm_id* id);
  fathom_status (*comm_create)(fathom_device* device, const fathom_comm_id* id, int32_t rank,
                               int32_t ranks, int32_t deadline_ms, fathom_comm** comm);
  void (*comm_destroy)(fathom_device* device, fathom_comm* comm);
  fathom_status (*comm_abort)(fathom_device* device, fathom_comm* comm);
  /* out = x0 + x1 + ...; `out` may be `in`. */
  fathom_status (*comm_all_reduce)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                   int32_t dtype, const void* in, void* out, int64_t count);
  /* The same sum, of which rank r gets the counts[r] elements behind those of the ranks before it;
     `out` may be this rank's own part of `in`. */
  fathom_status (*comm_reduce_scatter)(fathom_device* device, fathom_stream* stream,
                                       fathom_comm* comm, int32_t dtype, const void* in, void* out,
                                       const int64_t* counts);
  /* out = the ranks' data one behind the other; `in` may be this rank's own part of `out`. */
  fathom_status (*comm_all_gather)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                   const void* in, void* out, const size_t* bytes);
  /* Part r of `in` goes to rank r; part r of `out` comes from it. */
  fathom_status (*comm_all_to_all)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                   const void* in, const size_t* in_bytes, void* out,
                                   const size_t* out_bytes);
  fathom_status (*comm_broadcast)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                  int32_t root, void* data, size_t bytes);
  fathom_status (*comm_send)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                             int32_t to, const void* data, size_t bytes);
  fathom_status (*comm_receive)(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                int32_t from, void* data, size_t bytes);
} fathom_backend;

typedef const fathom_backend* (*fathom_backend_entry_fn)(uint32_t host_abi_version);

#define FATHOM_BACKEND_ENTRY "fathom_backend_entry"

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* FATHOM_DEVICE_ABI_H */
