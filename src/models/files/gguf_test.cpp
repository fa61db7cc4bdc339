#include "models/files/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

namespace fathom::models {
namespace {

namespace fs = std::filesystem;

class GgufTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fathom-gguf-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    path_ = fs::path(pattern) / "x.gguf";
  }
  void TearDown() override { fs::remove_all(path_.parent_path()); }

  static std::string example() {
    GgufHeader header;
    header.add("general.architecture", std::string_view("deepseek2"));
    header.add("a.count", uint32_t{7});
    header.add("a.number", 0.5f);
    header.add("a.flag", true);
    header.add("a.texts", std::vector<std::string>{"one", "", "three"});
    header.add("a.numbers", std::vector<int32_t>{-1, 2});
    header.add_tensor("x", GgmlType::kF32, {3, 2});
    header.add_tensor("y", GgmlType::kQ8_0, {64, 2, 2});
    std::string bytes = header.bytes();
    bytes.resize(bytes.size() + header.data_bytes(), '\x02');
    return bytes;
  }
  Result<std::unique_ptr<GgufFile>> open(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return GgufFile::open(path_);
  }

  fs::path path_;
};

TEST_F(GgufTest, ReadsWhatItWrites) {
  const auto file = open(example());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(*(*file)->value("general.architecture"), "deepseek2");
  EXPECT_EQ(*(*file)->value("a.count"), 7);
  EXPECT_EQ(*(*file)->value("a.number"), 0.5);
  EXPECT_EQ(*(*file)->value("a.flag"), true);
  EXPECT_EQ((*file)->value("a.texts")->at(2), "three");
  EXPECT_EQ((*file)->value("a.numbers")->at(0), -1);
  EXPECT_EQ((*file)->value("nothing"), nullptr);
  const GgufTensor* y = (*file)->tensor("y");
  ASSERT_NE(y, nullptr);
  EXPECT_EQ(y->rows(), 4);
  EXPECT_EQ(y->bytes, 8u * 34);
}

TEST_F(GgufTest, EveryTruncationIsRefused) {
  const std::string whole = example();
  // Not the padding after the last tensor.
  for (size_t length = 0; length + 32 < whole.size(); ++length) {
    const auto file = open(whole.substr(0, length));
    ASSERT_FALSE(file.ok()) << length;
    EXPECT_NE(file.error().message.find("x.gguf"), std::string::npos);
  }
}

// Whatever a file says: an error, or tensors that lie within it.
TEST_F(GgufTest, FlippedBytesNeverLeadOutside) {
  const std::string whole = example();
  std::mt19937 random(3);
  int opened = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string damaged = whole;
    const int flips = 1 + static_cast<int>(random() % 3);
    for (int flip = 0; flip < flips; ++flip) {
      const size_t header = whole.size() - 320;
      const auto value = random() % 4 == 0 ? 0xffu : random() & 255u;
      damaged[random() % header] = static_cast<char>(value);
    }
    const auto file = open(damaged);
    if (!file) continue;
    ++opened;
    for (const auto& [name, tensor] : (*file)->tensors()) {
      std::vector<float> values(static_cast<size_t>(tensor.columns() * tensor.rows()));
      decode_ggml(tensor.type, tensor.data, tensor.columns() * tensor.rows(), values.data());
    }
  }
  EXPECT_GT(opened, 50);
}

TEST(GgufBlocks, EncodeAndDecodeAgree) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> values(512);
  for (auto& value : values) value = normal(random);
  const std::vector<std::pair<GgmlType, double>> cases = {{GgmlType::kF32, 1e-12},
                                                          {GgmlType::kF16, 0.001},
                                                          {GgmlType::kBF16, 0.004},
                                                          {GgmlType::kQ8_0, 0.01},
                                                          {GgmlType::kQ4_0, 0.1}};
  for (const auto& [type, bound] : cases) {
    std::vector<std::byte> encoded(static_cast<size_t>(ggml_bytes(type, 512)));
    encode_ggml(type, values.data(), 512, encoded.data());
    std::vector<float> back(512);
    decode_ggml(type, encoded.data(), 512, back.data());
    double squares = 0;
    double errors = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      squares += double{values[i]} * values[i];
      errors += (double{back[i]} - values[i]) * (double{back[i]} - values[i]);
    }
    EXPECT_LT(std::sqrt(errors / squares), bound) << to_string(type);
  }
}

}  // namespace
}  // namespace fathom::models
