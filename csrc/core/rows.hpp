// Row operations: how many rows make a piece of work, and what pieces find.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "core/isa.hpp"
#include "core/pool.hpp"

namespace vecpress {

// Rows whose work (multiply-adds or the like) takes about a millisecond, on the baseline machine a few, where each is a call of fmaf();
// at least 64 rows, which kernels take together, unless that would keep Ctrl-C waiting for more than about 50 ms.
inline int64_t rows_per_piece(int isa, int64_t work_per_row) {
  const int64_t work = isa == static_cast<int>(Isa::scalar) ? 1 << 20 : 32 << 20;
  const int64_t row = std::max<int64_t>(1, work_per_row);
  const int64_t rows = std::max(work / row, std::min<int64_t>(64, 16 * work / row));
  return rows >= 64 ? rows / 64 * 64 : std::max<int64_t>(1, rows);
}

// A float's bits, as kernels compare magnitudes: those of numbers that are not negative are in the order of the numbers.
inline int32_t bits_of(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// As parallel_rows, of work that returns a row: the first of those, n where there are none.
template <class Work>
int64_t first_of_rows(int64_t n, int64_t grain, int threads, Control& control, const Work& work) {
  std::atomic<int64_t> first{n};
  parallel_rows(n, grain, threads, control, [&](int64_t begin, int64_t end) {
    const int64_t found = work(begin, end);
    for (int64_t before = first; found < before && !first.compare_exchange_weak(before, found);) {
    }
  });
  return first;
}

}  // namespace vecpress
