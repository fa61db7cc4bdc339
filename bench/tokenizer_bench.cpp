// Speed of the tokenizer on one thread, in MB/s of text:
//   tokenizer_bench tokenizer.json FILE...
// Each file is encoded as a user's text and decoded again; a megabyte of one letter, the worst case
// for byte-pair merging, is always among the texts.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace {

using fathom::tokenizer::TokenId;
using fathom::tokenizer::Tokenizer;

constexpr double kMinSeconds = 1.0;  // a measurement repeats the work for at least so long

// Megabytes (10^6 bytes) a second of `work`, which handles `bytes` bytes.
template <typename Work>
double speed(size_t bytes, const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  double seconds = 0;
  size_t rounds = 0;
  for (; seconds < kMinSeconds; ++rounds) {
    work();
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  return static_cast<double>(bytes) * static_cast<double>(rounds) / seconds / 1e6;
}

void measure(const Tokenizer& tokenizer, const std::string& name, const std::string& text) {
  std::vector<TokenId> ids;
  const double encoding = speed(text.size(), [&] { ids = tokenizer.encode(text); });
  std::string decoded;
  const double decoding = speed(text.size(), [&] { decoded = tokenizer.decode(ids); });
  std::printf("%-40s %10zu %10zu %8.1f %8.1f%s\n", name.c_str(), text.size(), ids.size(), encoding,
              decoding, decoded == text ? "" : "  (not valid UTF-8)");
}

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: tokenizer_bench tokenizer.json FILE...\n");
    return 2;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto tokenizer = Tokenizer::load(argv[1]);
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  const std::chrono::duration<double, std::milli> load = std::chrono::steady_clock::now() - begin;
  std::printf("loaded in %.0f ms\n", load.count());
  std::printf("%-40s %10s %10s %8s %8s\n", "text", "bytes", "tokens", "encode", "decode MB/s");
  for (int i = 2; i < argc; ++i) measure(*tokenizer, argv[i], read_file(argv[i]));
  measure(*tokenizer, "a megabyte of one letter", std::string(1'000'000, 'a'));
  return 0;
}
