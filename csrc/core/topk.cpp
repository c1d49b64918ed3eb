// Selection for TopK, compiled for the baseline machine: it runs once for many candidates.
#include "core/topk.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vecpress {
namespace {

bool better(const Entry& a, const Entry& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); }

}  // namespace

void TopK::shrink() {
  if (size < k) return;
  std::nth_element(entries, entries + (k - 1), entries + size, better);
  size = k;
  has_bar = true;
  bar = entries[k - 1].score;
  bar_id = entries[k - 1].id;
}

bool Reservoir::make_room() {
  if (!counting || edge == kBuckets - 1) return tighten();
  size = std::remove_if(candidates, candidates + size, [&](const Candidate& c) { return c.high < bar; }) - candidates;
  limit = 2 * size + 32;
  return limit <= limit_at_most(k);
}

bool Reservoir::tighten() {
  if (size < k) return true;
  std::nth_element(candidates, candidates + (k - 1), candidates + size,
                   [](const Candidate& a, const Candidate& b) { return a.low > b.low; });
  const float kth = candidates[k - 1].low;
  bar = std::max(bar, kth);
  // buckets so narrow that what they hide is little beside the candidates' spread and the width of their bounds; what was counted before and
  // is not here any more is as good as what is
  float lowest = kth, highest = kth, width = 0;
  for (int64_t i = 0; i < size; ++i) {
    lowest = std::min(lowest, candidates[i].low);
    highest = std::max(highest, candidates[i].low);
    width = std::max(width, candidates[i].high - candidates[i].low);
  }
  const float bucket = std::max({(highest - lowest) / 128, width / 16, std::abs(kth) * 0x1p-20f, 1e-30f});
  counting = std::abs(kth) < 1e37f && bucket < 1e37f;
  if (counting) {
    origin = kth;
    per_bound = 1 / bucket;
    edge = 0;
    reached = 0;
    std::fill(count, count + kBuckets, int64_t{0});
    for (int64_t i = 0; i < k; ++i) raise(candidates[i].low);
  }
  // the first k stay first, for their upper bounds reach the bar; what an earlier bar has dropped is not here
  Candidate* const end = std::remove_if(candidates + k, candidates + size, [&](const Candidate& c) { return c.high < bar; });
  size = end - candidates;
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
