#include "models/files/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace fathom::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fathom-safetensors-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  fs::path write(const std::string& name, const std::string& header, size_t data_bytes) {
    const fs::path path = directory_ / name;
    std::ofstream file(path, std::ios::binary);
    const uint64_t size = header.size();
    file.write(reinterpret_cast<const char*>(&size), sizeof(size));
    file << header << std::string(data_bytes, '\x01');
    return path;
  }
  static json tensor(const char* dtype, std::vector<int64_t> shape, uint64_t begin, uint64_t end) {
    return {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  // The message of opening a file with this header, "" if it opens.
  std::string complaint(const json& header, size_t data_bytes) {
    const auto file = SafetensorsFile::open(write("x.safetensors", header.dump(), data_bytes));
    return file ? std::string() : file.error().message;
  }

  fs::path directory_;
};

TEST_F(SafetensorsTest, ReadsWhatIsThere) {
  const json header = {{"__metadata__", {{"format", "pt"}}},
                       {"a", tensor("BF16", {2, 3}, 0, 12)},
                       {"b", tensor("F32", {1}, 12, 16)}};
  const auto file = SafetensorsFile::open(write("x.safetensors", header.dump(), 16));
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ((*file)->tensors().size(), 2u);
  const StoredTensor& a = (*file)->tensors()[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, FATHOM_BF16);
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(a.bytes, 12u);
  EXPECT_EQ(static_cast<int>(a.data[0]), 1);
}

TEST_F(SafetensorsTest, RefusesWhatContradictsItself) {
  EXPECT_EQ(complaint({{"a", tensor("F32", {2}, 0, 8)}}, 8), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {2}, 0, 8)}}, 7), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {2}, 0, 8)}}, 9), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {3}, 0, 8)}}, 8), "");
  EXPECT_NE(complaint({{"a", tensor("F99", {2}, 0, 8)}}, 8), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {2}, 8, 0)}}, 8), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {-2}, 0, 8)}}, 8), "");
  EXPECT_NE(complaint({{"a", tensor("F32", {int64_t{1} << 40, int64_t{1} << 40}, 0, 8)}}, 8), "");
  EXPECT_NE(complaint({{"a", {{"dtype", "F32"}}}}, 8), "");
  EXPECT_NE(complaint(json::array(), 0), "");
  const auto overlap =
      complaint({{"a", tensor("F32", {2}, 0, 8)}, {"b", tensor("F32", {2}, 4, 12)}}, 12);
  EXPECT_NE(overlap.find("overlaps"), std::string::npos) << overlap;
  EXPECT_NE(overlap.find("tensor b"), std::string::npos) << overlap;
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNone) {
  EXPECT_FALSE(SafetensorsFile::open(write("x", "{", 0)).ok());
  EXPECT_FALSE(SafetensorsFile::open(write("x", std::string(5000, '['), 0)).ok());
  EXPECT_FALSE(SafetensorsFile::open(directory_).ok());
  EXPECT_FALSE(SafetensorsFile::open(directory_ / "none").ok());
  std::ofstream(directory_ / "short") << "1234567";
  EXPECT_FALSE(SafetensorsFile::open(directory_ / "short").ok());
  std::ofstream(directory_ / "huge") << "\xff\xff\xff\xff\xff\xff\xff\x7f{}";
  EXPECT_FALSE(SafetensorsFile::open(directory_ / "huge").ok());
}

TEST_F(SafetensorsTest, IndexJoinsShards) {
  write("one.safetensors", json({{"a", tensor("F32", {1}, 0, 4)}}).dump(), 4);
  write("two.safetensors", json({{"b", tensor("F32", {1}, 0, 4)}}).dump(), 4);
  const auto index = [&](const json& map) {
    std::ofstream(directory_ / "model.safetensors.index.json") << json({{"weight_map", map}});
    return Checkpoint::open(directory_);
  };
  const auto good = index({{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_TRUE(good->find("b").ok());
  EXPECT_FALSE(good->find("c").ok());
  EXPECT_FALSE(index({{"a", "two.safetensors"}}).ok());     // in another file
  EXPECT_FALSE(index({{"a", "three.safetensors"}}).ok());   // no such file
  EXPECT_FALSE(index({{"a", "../one.safetensors"}}).ok());  // leads elsewhere
  EXPECT_FALSE(index({{"a", 1}}).ok());
  EXPECT_FALSE(index(json::object()).ok());
}

}  // namespace
}  // namespace fathom::models
