// Row operations: how many rows make a piece of work.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/isa.hpp"

namespace vecpress {

// Rows whose multiply-adds take a fraction of a millisecond, and up to about 5 ms on the baseline machine, where each is a call of
// fmaf(); in whole tiles of 64 rows where that is not much more.
inline int64_t rows_per_piece(int isa, int64_t work_per_row) {
  const int64_t work = isa == static_cast<int>(Isa::scalar) ? 1 << 20 : 8 << 20;
  const int64_t rows = work / std::max<int64_t>(1, work_per_row);
  return rows >= 16 ? (rows + 63) / 64 * 64 : std::max<int64_t>(1, rows);
}

}  // namespace vecpress
