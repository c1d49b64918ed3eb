// Selection for TopK, compiled for the baseline machine: it runs once for many candidates.
#include "core/topk.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace vecpress {
namespace {

// An object, for a function's address would be called.
constexpr auto better = [](const Entry& a, const Entry& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); };

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

void Reservoir::begin_to_count(float from, float bucket) {
  counting = std::abs(from) < 1e37f && bucket < 1e37f;
  origin = from;
  width = bucket;
  per_bound = 1 / bucket;
  edge = 0;
  reached = 0;
  std::fill(count, count + kBuckets, int64_t{0});
}

bool Reservoir::tighten() {
  if (size < k) return true;
  std::nth_element(candidates, candidates + (k - 1), candidates + size,
                   [](const Candidate& a, const Candidate& b) { return a.low > b.low; });
  const float kth = candidates[k - 1].low;
  bar = std::max(bar, kth);
  // buckets so narrow that what they hide is little beside the candidates' spread and the width of their bounds
  float lowest = kth, highest = kth, widest = 0;
  for (int64_t i = 0; i < size; ++i) {
    lowest = std::min(lowest, candidates[i].low);
    highest = std::max(highest, candidates[i].low);
    widest = std::max(widest, candidates[i].high - candidates[i].low);
  }
  const float bucket = std::max({(highest - lowest) / 128, widest / 16, std::abs(kth) * 0x1p-20f, 1e-30f});
  begin_to_count(kth, bucket);  // what was counted before and is not here any more is as good as what is
  for (int64_t i = 0; counting && i < k; ++i) raise(candidates[i].low);
  // the first k stay first, for their upper bounds reach the bar; what an earlier bar has dropped is not here
  Candidate* const end = std::remove_if(candidates + k, candidates + size, [&](const Candidate& c) { return c.high < bar; });
  size = end - candidates;
  limit = 2 * size + 32;
  return limit <= limit_at_most(k);
}

void Collector::start(int64_t k, const Foretold& foretold) {
  top.k = reservoir.k = k;
  reservoir.restart();
  reservoir.bar = foretold.floor;
  if (foretold.floor > -std::numeric_limits<float>::infinity()) reservoir.begin_to_count(foretold.floor, foretold.bucket);
}

Foretold Collector::foretell() {
  reservoir.tighten();
  return {std::nextafter(bar(), -std::numeric_limits<float>::infinity()), reservoir.width};
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
