// Row operations: how many rows make a piece of work.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/isa.hpp"

namespace vecpress {

// Rows whose work (multiply-adds or the like) takes about a millisecond, on the baseline machine a few, where each is a call of fmaf();
// at least 64 rows, which kernels take together, unless that would keep Ctrl-C waiting for more than about 50 ms.
inline int64_t rows_per_piece(int isa, int64_t work_per_row) {
  const int64_t work = isa == static_cast<int>(Isa::scalar) ? 1 << 20 : 32 << 20;
  const int64_t row = std::max<int64_t>(1, work_per_row);
  const int64_t rows = std::max(work / row, std::min<int64_t>(64, 16 * work / row));
  return rows >= 64 ? rows / 64 * 64 : std::max<int64_t>(1, rows);
}

}  // namespace vecpress
