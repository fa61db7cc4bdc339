#include "serving/model_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace fathom::serving {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ModelPathTest : public testing::Test {
 protected:
  ModelPathTest() {
    fs::remove_all(base_);
    write("served/config.json", R"({"model_type": "deepseek_v3"})");
  }
  ~ModelPathTest() override { fs::remove_all(base_); }

  void write(const std::string& name, const std::string& text = "") const {
    fs::create_directories((base_ / name).parent_path());
    std::ofstream(base_ / name) << text;
  }
  std::string refused(const fs::path& model) const {
    const auto status = check_model_directory(model);
    return status ? "" : status.error().message;
  }
  std::string refused_here(const std::string& name) const { return refused(base_ / name); }

  const fs::path base_ =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ModelPathTest, AModelIsNotRefused) {
  EXPECT_EQ(refused_here("served"), "");
  EXPECT_EQ(refused_here("served/"), "");
  write("broken/config.json", "{");  // for Config to tell
  EXPECT_EQ(refused_here("broken"), "");
}

TEST_F(ModelPathTest, AHubsNameIsDownloadedFirst) {
  EXPECT_THAT(refused("deepseek-ai/DeepSeek-V3"),
              HasSubstr("hf download deepseek-ai/DeepSeek-V3 --local-dir DeepSeek-V3"));
  EXPECT_THAT(refused("https://huggingface.co/deepseek-ai/DeepSeek-R1/"),
              HasSubstr("modelscope download --model deepseek-ai/DeepSeek-R1 --local_dir"));
  EXPECT_THAT(refused("/no/such/model"), HasSubstr("/no/such/model: not there; expected"));
  EXPECT_THAT(refused_here("servd"), HasSubstr("did you mean " + (base_ / "served").string()));
  EXPECT_THAT(refused(""), HasSubstr("not there"));
}

TEST_F(ModelPathTest, GgufIsConvertedFirst) {
  write("x.gguf");
  EXPECT_THAT(refused_here("x.gguf"),
              HasSubstr("fathom convert --model " + (base_ / "x.gguf").string() + " --out " +
                        (base_ / "x").string()));
  write("files/y.gguf");
  EXPECT_THAT(refused_here("files"), HasSubstr("fathom convert --model "));
}

TEST_F(ModelPathTest, TheDirectoryBelowOrAboveIsNamed) {
  EXPECT_THAT(refused(base_), HasSubstr("did you mean " + (base_ / "served").string() + "?"));
  EXPECT_THAT(refused_here("served/config.json"),
              HasSubstr("did you mean " + (base_ / "served").string() + "?"));
  write("other/config.json", "{}");
  EXPECT_THAT(refused(base_), HasSubstr("expected one of "));
  write("cache/snapshots/0123/config.json", "{}");
  EXPECT_THAT(refused_here("cache"), HasSubstr("snapshots/0123?"));
  write("weights/model.safetensors");
  EXPECT_THAT(refused_here("weights"), HasSubstr("has weights but no config.json"));
  fs::create_directories(base_ / "empty");
  EXPECT_THAT(refused_here("empty"), HasSubstr("has no config.json; expected"));
}

TEST_F(ModelPathTest, AnotherArchitectureIsNamed) {
  write("llama/config.json", R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"]})");
  EXPECT_THAT(refused_here("llama"),
              HasSubstr("config.json: model_type: expected deepseek_v3 or deepseek_v2, got "
                        "\"llama\": a \"LlamaForCausalLM\" model is not served"));
  write("qwen/config.json", R"({"model_type": "qwen3", "architectures": [7]})");
  EXPECT_THAT(refused_here("qwen"), HasSubstr("a \"qwen3\" model"));
}

}  // namespace
}  // namespace fathom::serving
