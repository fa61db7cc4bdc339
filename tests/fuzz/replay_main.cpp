// Stands in for libFuzzer where it is not built in:
//   fuzz_NAME SECONDS DIRECTORY
// runs the target on every file of the directory, and on damaged copies of them for that long.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz_target.h"

namespace {

using Bytes = std::vector<uint8_t>;

std::vector<Bytes> read_all(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> all;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    all.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return all;
}

// Cut, repeated, mixed with another, or with other bytes in it.
Bytes damaged(Bytes bytes, const std::vector<Bytes>& others, std::mt19937_64& random) {
  const auto below = [&](size_t bound) { return bound == 0 ? 0 : random() % bound; };
  const auto at = [&](size_t position) { return bytes.begin() + static_cast<long>(position); };
  for (size_t times = 1 + below(4); times > 0; --times) {
    const size_t begin = below(bytes.size());
    const size_t end = begin + std::min(bytes.size() - begin, below(24));
    switch (below(5)) {
      case 0:
        bytes.erase(at(begin), at(end));
        break;
      case 1:
        if (!bytes.empty()) bytes[begin] = static_cast<uint8_t>(random());
        break;
      case 2: {
        const Bytes copy(at(begin), at(end));
        bytes.insert(at(below(bytes.size())), copy.begin(), copy.end());
        break;
      }
      case 3:
        bytes.insert(at(begin), static_cast<uint8_t>("\"{}[]():,0-9\r\n \\<%#"[below(20)]));
        break;
      default: {
        const Bytes& other = others[below(others.size())];
        const size_t from = below(other.size());
        const size_t count = std::min(other.size() - from, below(40));
        bytes.insert(at(begin), other.begin() + static_cast<long>(from),
                     other.begin() + static_cast<long>(from + count));
      }
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s SECONDS DIRECTORY\n", argv[0]);
    return 2;
  }
  const auto corpus = read_all(argv[2]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: expected files, got none\n", argv[2]);
    return 1;
  }
  for (const Bytes& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());

  constexpr auto kSeed = 1;
  std::mt19937_64 random(kSeed);
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(argv[1]));
  size_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    const Bytes input = damaged(corpus[random() % corpus.size()], corpus, random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  }
  std::printf("%zu kept inputs, %zu damaged ones\n", corpus.size(), runs);
  return 0;
}
