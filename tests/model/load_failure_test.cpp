// Memory that runs out while a model loads: whichever piece it is, loading fails with an error that
// says so, leaves nothing behind, and works on the same device once there is room.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "chips.h"
#include "device/last_error.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using models::WeightFormat;

// cpu-discrete with room for so many pieces, and a list of those that it handed out.
class ScarceChip {
 public:
  static constexpr int64_t kEnough = 1 << 20;

  static constexpr const char* kKernels = "native,delay=0";

  static std::unique_ptr<device::Device> open() {
    static const fathom_backend table = make_table();
    const auto kernels = discrete_options(kCpuDiscrete, kKernels);
    return device::Device::open(table, {.threads = 1, .kernels = kernels}).value();
  }

  static inline int64_t room = kEnough;
  static inline std::set<const void*> handed_out;

 private:
  static const fathom_backend& whole() {
    return *fathom_cpu_discrete_backend_entry(FATHOM_ABI_VERSION);
  }

  template <typename Handle, typename Make>
  static fathom_status make(Handle** made, const Make& make_one) {
    if (room-- <= 0) return device::fail(FATHOM_NO_MEMORY, "no room, says the test");
    const fathom_status status = make_one();
    if (status == FATHOM_OK) handed_out.insert(*made);
    return status;
  }
  template <typename Handle>
  static void end(Handle* made) {
    EXPECT_EQ(handed_out.erase(made), 1u);
  }

  static fathom_backend make_table() {
    fathom_backend table = whole();
    table.alloc = [](fathom_device* device, size_t bytes, void** memory) {
      return make(memory, [&] { return whole().alloc(device, bytes, memory); });
    };
    table.free = [](fathom_device* device, void* memory) {
      end(memory);
      whole().free(device, memory);
    };
    table.host_alloc = [](fathom_device* device, size_t bytes, void** memory) {
      return make(memory, [&] { return whole().host_alloc(device, bytes, memory); });
    };
    table.host_free = [](fathom_device* device, void* memory) {
      end(memory);
      whole().host_free(device, memory);
    };
    table.event_create = [](fathom_device* device, fathom_event** event) {
      return make(event, [&] { return whole().event_create(device, event); });
    };
    table.event_destroy = [](fathom_device* device, fathom_event* event) {
      end(event);
      whole().event_destroy(device, event);
    };
    table.stream_create = [](fathom_device* device, fathom_stream** stream) {
      return make(stream, [&] { return whole().stream_create(device, stream); });
    };
    table.stream_destroy = [](fathom_device* device, fathom_stream* stream) {
      end(stream);
      whole().stream_destroy(device, stream);
    };
    return table;
  }
};

Result<std::unique_ptr<dsv3::Model>> load_tiny(device::Device& device) {
  const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
  const auto config = dsv3::Config::load(directory / "config.json").value();
  auto limits = prompt_limits();
  limits.kv_dtype = FATHOM_F32;
  auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
  return dsv3::Model::load(checkpoint, config, device, limits, {.format = WeightFormat::kInt8});
}

TEST(LoadFailure, EveryPieceThatDoesNotFitIsToldAndLeavesNothingBehind) {
  Outcome expected;
  {
    const auto device = open_chip(kCpuDiscrete, {.threads = 1, .kernels = ScarceChip::kKernels});
    expected = run_prompts(*load_tiny(*device).value(), 1).value();
  }
  const auto device = ScarceChip::open();
  const auto at_first = ScarceChip::handed_out;
  for (int64_t pieces = 0;; ++pieces) {
    ASSERT_LT(pieces, 100) << "loading asks for more and more";
    ScarceChip::room = pieces;
    const auto model = load_tiny(*device);
    if (model.ok()) {
      EXPECT_GT(pieces, 3);
      EXPECT_TRUE(run_prompts(**model, 1).value() == expected);
      break;
    }
    EXPECT_EQ(model.error().code, ErrorCode::kResourceExhausted) << model.error().message;
    EXPECT_NE(model.error().message.find("no room, says the test"), std::string::npos)
        << model.error().message;
    EXPECT_EQ(ScarceChip::handed_out, at_first) << "after " << pieces << " pieces";
  }
  EXPECT_EQ(ScarceChip::handed_out, at_first);
}

}  // namespace
}  // namespace fathom
