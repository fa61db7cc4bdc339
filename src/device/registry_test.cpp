// Plug-ins that are not what the contract says are refused by name before anything of theirs is
// called.
#include "device/registry.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "device/device.h"
#include "device/last_error.h"

namespace fathom::device {
namespace {

template <typename Function>
struct Stub;
template <typename Value, typename... Args>
struct Stub<Value (*)(Args...)> {
  static Value call(Args...) { return Value(); }
};
template <typename... Functions>
void set_stubs(Functions&... functions) {
  ((functions = Stub<Functions>::call), ...);
}

fathom_status tell_of_itself(fathom_device*, fathom_device_info* info) {
  info->alignment = 64;
  info->activation_dtype = FATHOM_F32;
  info->kv_dtype = FATHOM_F32;
  return FATHOM_OK;
}

// All that is required, and nothing else.
fathom_backend least_table() {
  fathom_backend t = {};
  t.size = sizeof(t);
  t.abi_version = FATHOM_ABI_VERSION;
  t.name = "fake";
  t.version = "1";
  set_stubs(t.device_count, t.device_open, t.device_close, t.alloc, t.free, t.host_alloc,
            t.host_free, t.stream_create, t.stream_destroy, t.stream_synchronize, t.copy_to_device,
            t.copy_to_host, t.copy_on_device, t.event_create, t.event_destroy, t.event_record,
            t.event_wait, t.event_elapsed_ms, t.event_query, t.event_synchronize, t.fill,
            t.checksum, t.supports, t.workspace_bytes);
  t.last_error = last_error;
  t.device_info = tell_of_itself;
  for (int op = 0; op < FATHOM_OP_SAMPLE; ++op) set_stubs(t.kernels[op]);
  return t;
}

// What adding it answers; "" where it is taken.
std::string refusal(const fathom_backend* table) {
  static const fathom_backend* given;
  given = table;
  Registry registry;
  const auto added = registry.add([](uint32_t) { return given; });
  return added ? "" : added.error().message;
}

template <typename Member>
void expect_missing(Member fathom_backend::*member, const std::string& name) {
  fathom_backend table = least_table();
  table.*member = nullptr;
  EXPECT_NE(refusal(&table).find("chip fake: expected all that contract version 2 requires, it "
                                 "lacks " +
                                 name),
            std::string::npos)
      << refusal(&table);
}
#define EXPECT_MISSING(member) expect_missing(&fathom_backend::member, #member)

TEST(Registry, TakesATableThatHasWhatIsRequired) {
  const fathom_backend table = least_table();
  EXPECT_EQ(refusal(&table), "");
}

TEST(Registry, NamesTheFunctionThatIsMissing) {
  EXPECT_MISSING(last_error);
  EXPECT_MISSING(device_count);
  EXPECT_MISSING(device_open);
  EXPECT_MISSING(device_close);
  EXPECT_MISSING(device_info);
  EXPECT_MISSING(alloc);
  EXPECT_MISSING(free);
  EXPECT_MISSING(host_alloc);
  EXPECT_MISSING(host_free);
  EXPECT_MISSING(stream_create);
  EXPECT_MISSING(stream_destroy);
  EXPECT_MISSING(stream_synchronize);
  EXPECT_MISSING(copy_to_device);
  EXPECT_MISSING(copy_to_host);
  EXPECT_MISSING(copy_on_device);
  EXPECT_MISSING(event_create);
  EXPECT_MISSING(event_destroy);
  EXPECT_MISSING(event_record);
  EXPECT_MISSING(event_wait);
  EXPECT_MISSING(event_elapsed_ms);
  EXPECT_MISSING(event_query);
  EXPECT_MISSING(event_synchronize);
  EXPECT_MISSING(fill);
  EXPECT_MISSING(checksum);
  EXPECT_MISSING(supports);
  EXPECT_MISSING(workspace_bytes);
}

TEST(Registry, NamesTheKernelThatIsMissing) {
  for (int op = 0; op < FATHOM_OP_SAMPLE; ++op) {
    fathom_backend table = least_table();
    table.kernels[op] = nullptr;
    const std::string name = op_name(static_cast<fathom_op>(op));
    EXPECT_NE(refusal(&table).find("lacks the kernel of " + name), std::string::npos) << name;
  }
}

TEST(Registry, PartsThatBelongTogetherAreAllThere) {
  fathom_backend table = least_table();
  set_stubs(table.graph_begin, table.graph_end, table.graph_destroy);
  EXPECT_NE(refusal(&table).find("lacks graph_launch"), std::string::npos);
  set_stubs(table.graph_launch);
  EXPECT_EQ(refusal(&table), "");
  set_stubs(table.pack);
  EXPECT_NE(refusal(&table).find("lacks pack_bytes"), std::string::npos);
  set_stubs(table.pack_bytes, table.comm_id, table.self_test);
  EXPECT_NE(refusal(&table).find("lacks self_test_name, comm_create, comm_destroy"),
            std::string::npos)
      << refusal(&table);
}

TEST(Registry, RefusesOtherVersionsAndSizes) {
  EXPECT_NE(refusal(nullptr).find("it serves another"), std::string::npos);
  fathom_backend table = least_table();
  table.abi_version = FATHOM_ABI_VERSION + 1;
  EXPECT_NE(refusal(&table).find("chip fake: expected contract version 2, got 3"),
            std::string::npos);
  table = least_table();
  table.size = 8;
  EXPECT_NE(refusal(&table).find("bytes, got 8"), std::string::npos) << refusal(&table);
  table = least_table();
  table.name = nullptr;
  EXPECT_NE(refusal(&table).find("expected a name"), std::string::npos);
}

// What lies behind the end of a shorter table is not looked at: here, memory that is no address.
TEST(Registry, ReadsNoFurtherThanATableGoes) {
  fathom_backend table = least_table();
  table.size = offsetof(fathom_backend, self_test_name);
  set_stubs(table.self_test_name);
  EXPECT_EQ(refusal(&table), "");
  table.size = offsetof(fathom_backend, event_query);
  EXPECT_NE(refusal(&table).find("lacks event_query, event_synchronize, fill, checksum"),
            std::string::npos)
      << refusal(&table);
}

TEST(Registry, RefusesASecondOneOfTheSameName) {
  static const fathom_backend table = least_table();
  const auto entry = [](uint32_t) { return &table; };
  Registry registry;
  ASSERT_TRUE(registry.add(entry).ok());
  EXPECT_FALSE(registry.add(entry).ok());
  EXPECT_EQ(registry.backends().size(), 1u);
  EXPECT_TRUE(registry.find("fake").ok());
  EXPECT_NE(registry.find("other").error().message.find("expected one of fake, got other"),
            std::string::npos);
}

TEST(Registry, LibrariesThatAreNonePutNothingIn) {
  namespace fs = std::filesystem;
  const fs::path directory = fs::temp_directory_path() / "fathom-registry-test";
  fs::create_directories(directory);
  std::ofstream(directory / "libfathom-broken.so") << "no library";
  Registry registry;
  const auto errors = registry.load_all(directory);
  fs::remove_all(directory);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].message.find("libfathom-broken.so"), std::string::npos);
  const auto loaded = registry.load("libm.so.6");
  ASSERT_FALSE(loaded.ok());
  EXPECT_NE(loaded.error().message.find("expected the function fathom_backend_entry"),
            std::string::npos);
  EXPECT_TRUE(registry.backends().empty());
}

// What a device says of itself.
std::string refusal_of(void (*change)(fathom_device_info*)) {
  static void (*changes)(fathom_device_info*);
  changes = change;
  fathom_backend table = least_table();
  table.device_info = [](fathom_device* device, fathom_device_info* info) {
    tell_of_itself(device, info);
    changes(info);
    return FATHOM_OK;
  };
  const auto device = Device::open(table, {});
  return device ? "" : device.error().message;
}

TEST(Device, RefusesWhatCannotBe) {
  EXPECT_EQ(refusal_of([](fathom_device_info*) {}), "");
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->alignment = 48;
            }).find("power of two, got 48"),
            std::string::npos);
  EXPECT_NE(refusal_of([](fathom_device_info* info) { info->alignment = 0; }), "");
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->activation_dtype = FATHOM_I8;
            }).find("F32 (1) or BF16 (2), got 5 and 1"),
            std::string::npos);
  EXPECT_NE(refusal_of([](fathom_device_info* info) { info->kv_dtype = 0; }), "");
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->kv_planes = 3;
            }).find("kv_planes to be 1 or 2, got 3"),
            std::string::npos);
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->kv_block_sizes[1] = 8;
            }).find("kv_block_sizes from 16 to 128, got 8"),
            std::string::npos);
  EXPECT_EQ(refusal_of([](fathom_device_info* info) {
              info->kv_planes = 2;
              info->kv_block_sizes[0] = 128;
            }),
            "");
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->capabilities = FATHOM_CAP_GRAPHS;
            }).find("no graph_begin"),
            std::string::npos);
  EXPECT_NE(refusal_of([](fathom_device_info* info) {
              info->capabilities = FATHOM_CAP_COLLECTIVES;
            }).find("no comm_create"),
            std::string::npos);
}

TEST(Device, ReadsNoNameBehindItsEnd) {
  fathom_backend table = least_table();
  table.device_info = [](fathom_device* device, fathom_device_info* info) {
    for (char& letter : info->name) letter = 'x';
    return tell_of_itself(device, info);
  };
  const auto device = Device::open(table, {}).value();
  EXPECT_EQ(std::string(device->info().name),
            std::string(sizeof(fathom_device_info::name) - 1, 'x'));
}

}  // namespace
}  // namespace fathom::device
