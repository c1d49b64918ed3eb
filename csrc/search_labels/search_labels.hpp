// Operation `search_labels`: vecpress/ops/search_labels.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct SearchLabelsArgs {
  uint8_t* found;          // [n][last][depth]
  float* reached;          // [n][last]
  float* rest;             // [n][d]
  const float* y;          // [n][d]
  const float* books;      // [depth][256][d]
  const uint8_t* entries;  // [steps][quads][256][4]
  const float* factors;    // [steps][2]
  const float* squares;    // [steps][256]
  const int8_t* pairs;     // [...][256][256]
  const uint8_t* paths;    // [n][b][depth - steps]
  const float* scores;     // [n][b]
  int64_t d, depth, steps, b, beam, last;
};

struct SearchLabels {
  static constexpr const char* name = "search_labels";
  static constexpr int64_t kEntries = 256, kMostLabels = 64, kMostPaths = 16;
  static constexpr int64_t kTileRows = 96;
  // Bytes for one thread.
  static int64_t scratch(const SearchLabelsArgs& a);
  // Rows [begin, end), on the calling thread; scratch: 64-byte aligned.
  using Kernel = void (*)(const SearchLabelsArgs&, int64_t begin, int64_t end, uint8_t* scratch);
};

// A row of a tile between two steps.
struct SearchedRow {
  float scores[SearchLabels::kMostPaths];
  float most;      // magnitude of what the first path leaves,
  int32_t origin;  // which the sums of its products begin with
  bool along;      // the first path goes on from what was the first path
};

inline int64_t padded(int64_t d) { return (d + 63) / 64 * 64; }

// Labels of a path in memory: whole words of 8.
inline int64_t path_stride(int64_t depth) { return (depth + 7) / 8 * 8; }

inline int64_t SearchLabels::scratch(const SearchLabelsArgs& a) {
  const int64_t totals = (1 + kMostPaths) * kEntries, paths = kMostPaths * path_stride(a.depth);
  const int64_t aparts = kMostPaths * 4 * (1 + 2 * kMostLabels);
  const int64_t row = 4 * (padded(a.d) + kEntries) + padded(a.d) + 2 * (paths + static_cast<int64_t>(sizeof(SearchedRow))) + aparts;
  return kTileRows * row + 4 * totals;
}

}  // namespace vecpress
