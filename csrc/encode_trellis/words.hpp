// The words of a trellis code from their sizes and rates, and its windows from its levels, for bindings.
#pragma once

#include <vector>

#include "core/python.hpp"
#include "encode_trellis/encode_trellis.hpp"

namespace vecpress {

// words: uint8[w][2], each word's bytes and rate. The first begins at byte 0 and component 0.
inline std::vector<TrellisWord> words_of(const Array<uint8_t>& words) {
  expect(words.ndim() == 2 && words.shape(1) == 2, "words expected two columns");
  std::vector<TrellisWord> out;
  int64_t byte = 0, component = 0, four = 0;
  for (int64_t w = 0; w < words.shape(0); ++w) {
    const int size = words.at(w, 0), rate = words.at(w, 1);
    expect(size >= 1 && size <= kWordBytes && rate >= 1 && rate <= kMostRate, "words expected 1 to 8 bytes and rates of 1 to 4");
    out.push_back({byte, component, four, size, rate, 8 * size / rate});
    byte += size;
    component += out.back().steps;
    four += out.back().fours();
  }
  return out;
}

// levels: int8[kMostRate][1 << window].
inline int window_of(const Array<int8_t>& levels) {
  expect(levels.size() == kMostRate * 64 || levels.size() == kMostRate * 256, "levels expected 4 x 64 or 4 x 256");
  return levels.size() == kMostRate * 64 ? 6 : 8;
}

inline int64_t bytes_of(const std::vector<TrellisWord>& words) { return words.empty() ? 0 : words.back().byte + words.back().size; }
inline int64_t components_of(const std::vector<TrellisWord>& words) {
  return words.empty() ? 0 : words.back().component + words.back().steps;
}

}  // namespace vecpress
