#include "models/deepseek_v3/weights/checkpoint_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/deepseek_v3/loading/weight_loader.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/deepseek_v3/weights/synthetic.h"
#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CheckpointWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fathom-writer-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    config_ = Config::parse(synthetic_config("tiny").value()).value();
    tensors_ = list_tensors(config_, source_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  json write(WeightFormat format, uint64_t shard_bytes = 100'000) {
    LoadOptions options;
    options.format = format;
    return write_checkpoint(source_, tensors_, directory_, shard_bytes, options).value();
  }
  static std::vector<float> rows(const TensorSource& source, const TensorSpec& spec) {
    const Weight matrix = source.matrix(spec.name, spec.n, spec.k).value();
    std::vector<float> values(static_cast<size_t>(spec.n * spec.k));
    EXPECT_TRUE(source.read_rows(spec.name, matrix, 0, spec.n, values.data()).ok());
    return values;
  }
  // Changes bytes of a tensor in the file it lies in.
  void patch(const std::string& name, size_t at, const void* bytes, size_t count) {
    const auto checkpoint = Checkpoint::open(directory_).value();
    const StoredTensor& tensor = *checkpoint.find(name).value();
    auto* data = const_cast<std::byte*>(tensor.data);
    const auto content = [&] {
      std::ifstream file(tensor.file, std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    const std::string whole(reinterpret_cast<const char*>(data), tensor.bytes);
    const size_t begin = content.find(whole);
    ASSERT_NE(begin, std::string::npos);
    std::fstream file(tensor.file, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(begin + at));
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  }
  std::string complaint() {
    FakeChip chip;
    const auto device = chip.open();
    const auto source = CheckpointSource::open(directory_, config_).value();
    const auto loaded = load_tensors(*source, tensors_, *device, {});
    return loaded ? "" : loaded.error().message;
  }

  fs::path directory_;
  SyntheticSource source_;
  Config config_;
  std::vector<TensorSpec> tensors_;
};

TEST_F(CheckpointWriterTest, Bf16ReadsBackTheSame) {
  EXPECT_TRUE(write(WeightFormat::kAsStored).is_null());
  const auto back = CheckpointSource::open(directory_, config_).value();
  for (const auto& spec : tensors_) {
    if (spec.is_vector()) {
      EXPECT_EQ(back->vector(spec.name, spec.n).value(), source_.vector(spec.name, spec.n).value());
    } else {
      EXPECT_EQ(rows(*back, spec), rows(source_, spec)) << spec.name;
    }
  }
  size_t shards = 0;
  for (const auto& file : fs::directory_iterator(directory_)) {
    if (file.path().extension() != ".safetensors") continue;
    ++shards;
    EXPECT_LT(file.file_size(), 220'000u);
  }
  EXPECT_GT(shards, 5u);
}

TEST_F(CheckpointWriterTest, OtherFormatsReadBackNearly) {
  const std::vector<std::tuple<WeightFormat, std::string, double>> cases = {
      {WeightFormat::kFp8, "fp8", 0.03},
      {WeightFormat::kInt8, "fathom", 0.01},
      {WeightFormat::kInt4, "fathom", 0.1}};
  for (const auto& [format, method, bound] : cases) {
    const json quantization = write(format);
    EXPECT_EQ(quantization["quant_method"], method);
    json config = synthetic_config("tiny").value();
    config["quantization_config"] = quantization;
    ASSERT_TRUE(Config::parse(config).ok());
    const auto back = CheckpointSource::open(directory_, config_).value();
    for (const auto& spec : tensors_) {
      if (spec.is_vector()) continue;
      const auto was = rows(source_, spec);
      const auto is = rows(*back, spec);
      double squares = 0;
      double errors = 0;
      for (size_t i = 0; i < was.size(); ++i) {
        squares += double{was[i]} * was[i];
        errors += (double{is[i]} - was[i]) * (double{is[i]} - was[i]);
      }
      EXPECT_LT(std::sqrt(errors / squares), bound) << spec.name;
    }
    EXPECT_EQ(complaint(), "");
    for (const auto& file : fs::directory_iterator(directory_)) fs::remove(file);
  }
}

TEST_F(CheckpointWriterTest, DamageIsNamed) {
  write(WeightFormat::kInt4, 1 << 30);
  const std::string name = "model.layers.1.mlp.experts.3.up_proj.weight";
  const auto refused = [&](const std::string& tensor, const std::string& what) {
    const auto message = complaint();
    EXPECT_NE(message.find("model-00001-of-000001.safetensors: tensor " + tensor + ":"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  };
  const float odd = 0.1f;
  patch(name + "_scale", 8, &odd, sizeof(odd));
  refused(name + "_scale", "expected scales that half precision holds exactly, got 0.1 at 2");
  const float nan = std::nanf("");
  patch(name + "_scale", 8, &nan, sizeof(nan));
  refused(name + "_scale", "expected finite numbers");
  const float good = 0.5f;
  patch(name + "_scale", 8, &good, sizeof(good));
  EXPECT_EQ(complaint(), "");
  const int8_t low = -128;
  patch("lm_head.weight", 77, &low, sizeof(low));
  refused("lm_head.weight", "expected numbers from -127 to 127, got -128");
}

TEST_F(CheckpointWriterTest, WrongTypesAndShapesAreNamed) {
  write(WeightFormat::kInt8, 1 << 30);
  const auto source = CheckpointSource::open(directory_, config_).value();
  const auto message = [&](const std::string& name, int64_t n, int64_t k) {
    const auto matrix = source->matrix(name, n, k);
    return matrix ? std::string() : matrix.error().message;
  };
  EXPECT_EQ(message("lm_head.weight", 512, 128), "");
  EXPECT_NE(message("lm_head.weight", 512, 256).find("expected shape [512, 256], got [512, 128]"),
            std::string::npos);
}

TEST_F(CheckpointWriterTest, ExistingFilesAreKept) {
  write(WeightFormat::kAsStored);
  const auto again = write_checkpoint(source_, tensors_, directory_, 100'000, {});
  ASSERT_FALSE(again.ok());
  EXPECT_NE(again.error().message.find("exists"), std::string::npos) << again.error().message;
}

// The numbers are part of every published measurement: they must not change.
TEST(Synthetic, NumbersAreFixedAndNearlyNormal) {
  SyntheticSource source;
  const Weight matrix = source.matrix("model.layers.0.self_attn.o_proj.weight", 64, 1024).value();
  std::vector<float> values(64 * 1024);
  ASSERT_TRUE(
      source.read_rows("model.layers.0.self_attn.o_proj.weight", matrix, 0, 64, values.data())
          .ok());
  double sum = 0;
  double squares = 0;
  for (const float value : values) {
    sum += value;
    squares += double{value} * value;
  }
  const auto count = static_cast<double>(values.size());
  EXPECT_NEAR(sum / count, 0, 0.0005);
  EXPECT_NEAR(std::sqrt(squares / count), 1.0 / 32, 0.0005);
  std::vector<float> row(1024);
  ASSERT_TRUE(
      source.read_rows("model.layers.0.self_attn.o_proj.weight", matrix, 7, 1, row.data()).ok());
  EXPECT_TRUE(std::equal(row.begin(), row.end(), values.begin() + 7 * 1024));
}

TEST(Synthetic, ShapesAreSound) {
  for (const auto& name : synthetic_names()) {
    const auto config = Config::parse(synthetic_config(name).value());
    ASSERT_TRUE(config.ok()) << config.error().message;
    int64_t parameters = 0;
    for (const auto& spec : list_tensors(*config, SyntheticSource())) {
      parameters += spec.n * std::max<int64_t>(spec.k, 1);
    }
    if (name != "v3-mini") continue;
    EXPECT_NEAR(static_cast<double>(parameters), 3.62e9, 0.01e9);
  }
  EXPECT_FALSE(synthetic_config("v4").ok());
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
