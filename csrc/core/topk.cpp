// Selection for TopK, compiled for the baseline machine: it runs once for many candidates.
#include "core/topk.hpp"

#include <algorithm>
#include <vector>

namespace vecpress {
namespace {

bool better(const Entry& a, const Entry& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); }

}  // namespace

void TopK::shrink() {
  if (size <= k) return;
  std::nth_element(entries, entries + (k - 1), entries + size, better);
  size = k;
  has_bar = true;
  bar = entries[k - 1].score;
  bar_id = entries[k - 1].id;
}

bool Reservoir::tighten(uint32_t width) {
  if (size < k) return true;
  // the k-th best sum by bisection over its value: a pass of compare and count is cheaper than moving entries about
  uint32_t low = floor, high = floor;  // what is collected is at least `floor`: at least k sums are >= low, fewer than k are > high
  for (int64_t i = 0; i < size; ++i) high = std::max(high, sums[i]);
  while (low < high) {
    const uint32_t middle = low + (high - low + 1) / 2;
    uint32_t count = 0;
    for (int64_t i = 0; i < size; ++i) count += sums[i] >= middle;
    if (count >= static_cast<uint64_t>(k))
      low = middle;
    else
      high = middle - 1;
  }
  kth = low;
  floor = std::max(floor, low > width ? low - width : 0);
  int64_t kept = 0;
  for (int64_t i = 0; i < size; ++i) {
    rows[kept] = rows[i];
    sums[kept] = sums[i];
    kept += sums[i] >= floor;
  }
  size = kept;
  limit = 2 * size + 32;
  return limit <= limit_at_most(k);
}

void merge(Collector* const* found, int64_t count, int64_t k, float* scores, int64_t* ids) {
  Entry* all = found[0]->top.entries;  // one collector is sorted where it lies
  int64_t size = found[0]->top.size;
  std::vector<Entry> together;
  if (count > 1) {
    for (int64_t i = 0; i < count; ++i)
      together.insert(together.end(), found[i]->top.entries, found[i]->top.entries + found[i]->top.size);
    all = together.data();
    size = static_cast<int64_t>(together.size());
  }
  const int64_t kept = std::min(k, size);
  if (kept < size) std::nth_element(all, all + kept, all + size, better);
  std::sort(all, all + kept, better);
  for (int64_t i = 0; i < k; ++i) {
    scores[i] = i < kept ? all[i].score : std::numeric_limits<float>::quiet_NaN();
    ids[i] = i < kept ? all[i].id : -1;
  }
}

}  // namespace vecpress
