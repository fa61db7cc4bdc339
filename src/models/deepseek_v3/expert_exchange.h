// How a step's tokens and their experts meet where experts are on several ranks. A rank runs its
// own experts on the tokens of its data index at once. What other data indices have goes there and
// back (dispatch and combine; DeepSeek-V3 paper, section 3.2): these tokens are divided over the
// ranks of the data index that have the same slice of experts, so that each is sent once an expert.
// Sums over slices and over the ranks of a data index are sum_rows()'s, behind the layer.
//
// An expert with copies is taken from the token's own data index where there is one, else each copy
// in turn.
//
// Sizes: T rows of the step, H hidden size, V visits a token: its routed experts, and the shared
// one where that is placed like them. Activations are F32.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "device/tensor.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/ranks.h"
#include "models/deepseek_v3/share.h"
#include "models/deepseek_v3/staging.h"

namespace fathom::models::deepseek_v3 {

using device::Tensor;

// What a step of at most T rows takes. A row on its way is its H values, then the number of the
// expert at its destination (the bits of an int32) and that expert's weight.
struct ExchangeSizes {
  ExchangeSizes(const Config& config, const Share& share, int64_t rows);

  int64_t visits = 0;
  int64_t own = 0;       // [T, V]; 0 where one rank has all experts
  int64_t leaving = 0;   // rows at most; 0 where dp = 1
  int64_t arriving = 0;  // rows at most: every token of the stage comes here
  int64_t row = 0;       // values of a row on its way
};

// In the chip's memory, which kernels read and write.
struct ExchangeBuffers {
  int32_t* own_ids;    // [T, V]: numbers of this rank's experts, or -1
  float* own_weights;  // [T, V]
  Tensor arriving;     // [arriving, H + 2]
  int32_t* arrived_ids;
  float* arrived_weights;
  Tensor results;  // [arriving, H] of the rows that arrived
};

// Tokens of other data indices for this rank's experts.
struct ArrivedRows {
  int64_t rows() const { return x.shape[0]; }

  Tensor x = device::matrix(nullptr, FATHOM_F32, 0, 0);  // [rows, H]
  const int32_t* ids = nullptr;                          // [rows]
  const float* weights = nullptr;                        // [rows]
  Tensor results = x;                                    // [rows, H], to be filled
};

class ExpertExchange {
 public:
  // For steps of at most `rows` rows. `layers`: number of layers, whose experts are where `share`
  // says at first.
  static Result<ExpertExchange> make(device::Device& device, const Config& config,
                                     const Share& share, const ExchangeBuffers& buffers,
                                     int64_t rows, int64_t layers);

  // Where a layer's experts are from now on, on all ranks alike.
  using Placement = std::vector<std::vector<int64_t>>;  // place_experts()
  const Placement& placement(int64_t layer) const { return at(layer).placement; }
  void place(int64_t layer, Placement placement);

  // Takes the choices [T, top_k], in the host's memory, for x [T, H] apart: own_ids() and
  // own_weights() [T, visits()] are for this rank's experts, the rest is sent. Every rank with this
  // slice calls it.
  Result<ArrivedRows> dispatch(const Ranks& ranks, int64_t layer, const Tensor& x,
                               const int32_t* expert_ids, const float* expert_weights);
  const int32_t* own_ids() const { return buffers_.own_ids; }
  const float* own_weights() const { return buffers_.own_weights; }
  int32_t visits() const { return static_cast<int32_t>(visits_); }

  // Sends the arrived rows' results back and adds what comes to the rows of out [T, H]. Every rank
  // with this slice calls it.
  Status combine(const Ranks& ranks, const Tensor& out);

  // Pinned memory that stands for the chip's.
  size_t staging_bytes() const;

 private:
  // Where an expert is.
  struct Holder {
    int64_t index = 0;   // expert index: the rank with the same slice
    int32_t number = 0;  // among its experts
  };
  // A row that leaves.
  struct Visit {
    int64_t index = 0;  // where to
    int64_t place = 0;  // among all that leave, in the order of destinations
    int64_t row = 0;    // of the step
    int32_t number = 0;
    float weight = 0;
  };

  struct Layer {
    Placement placement;
    std::vector<std::vector<Holder>> holders;  // of each expert, the nearest ones
  };

  // Rows on their way, in the host's memory alone.
  struct TravellingRows {
    float* row(int64_t at) const { return static_cast<float*>(memory.data()) + at * values; }

    int64_t values = 0;  // of a row
    device::HostBuffer memory;
  };
  // The host's side of ExchangeBuffers, and of the step's rows.
  struct HostSide {
    static Result<HostSide> make(device::Device& device, const ExchangeSizes& sizes, int64_t rows,
                                 int64_t hidden);

    Staging own_ids, own_weights, arriving, arrived_ids, arrived_weights, results;
    Staging rows;             // [T, H]
    TravellingRows leaving;   // [leaving, H + 2]
    TravellingRows returned;  // [leaving, H] of the rows that left
  };

  ExpertExchange(device::Device& device, const Config& config, const Share& share,
                 const ExchangeBuffers& buffers, HostSide host, int64_t layers);

  const Layer& at(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  Status route(const Layer& layer, int64_t rows, const int32_t* expert_ids,
               const float* expert_weights);
  void visit(const Layer& layer, int64_t row, int64_t choice, int64_t expert, float weight);
  Status exchange_counts(const Ranks& ranks);
  Status pack(const Tensor& x);
  Result<ArrivedRows> unpack();
  float* host_rows(const Tensor& x) const;
  void add_returned(float* out) const;

  device::Device* device_;
  int64_t top_k_;
  int64_t visits_;
  int64_t shared_;  // number of the shared expert: behind the routed ones
  int64_t hidden_;
  int64_t groups_;  // ranks of a data index with the same slice
  int64_t group_;   // this one's place among them
  int64_t index_;   // its expert index
  ExchangeBuffers buffers_;
  HostSide host_;
  std::vector<Layer> layers_;
  std::vector<Visit> leaving_;      // in the order of choices
  std::vector<int64_t> to_, from_;  // rows by expert index
  std::vector<int64_t> next_;       // place of the next row to each
  std::vector<size_t> count_bytes_, to_bytes_, from_bytes_;
};

}  // namespace fathom::models::deepseek_v3
