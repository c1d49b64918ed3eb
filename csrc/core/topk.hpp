// The k best of a stream of (score, id): larger scores first, ties to the lower id. Exact, any k, O(1) amortised per candidate.
#pragma once

#include <cstdint>
#include <limits>

namespace vecpress {

struct Entry {
  float score;
  int64_t id;
};

// Collects candidates in a buffer of more than k entries; when it is full, keeps the best k and raises the bar. The memory is the
// caller's: TopK::capacity(k) entries.
struct TopK {
  Entry* entries = nullptr;
  int64_t k = 0;
  int64_t size = 0;
  bool has_bar = false;  // until k candidates were kept, everything is welcome
  float bar = -std::numeric_limits<float>::infinity();
  int64_t bar_id = 0;

  static int64_t capacity(int64_t k) { return k + (k < 16 ? 16 : k); }

  void push(float score, int64_t id) {
    if (score != score) score = -std::numeric_limits<float>::infinity();
    if (has_bar && !(score > bar || (score == bar && id < bar_id))) return;
    entries[size++] = {score, id};
    if (size == capacity(k)) shrink();
  }

  void shrink();  // keeps the best k, if there are as many, and sets the bar
};

// A row of which cheaper arithmetic has shown that its score is between low and high.
struct Candidate {
  int64_t row;
  float low, high;

  // Bounds are wider than float's roundings, so where they are one number, it is the score itself.
  bool exact() const { return low == high; }
};

// Collects rows by bounds of their scores. With `bar` at most the k-th best lower bound seen, no row whose upper bound is below it can be
// among the k best, and only the others need exact scores: few. Once k rows were seen, their lower bounds are counted in buckets, so that the
// bar follows every row at once: it is the least bound in the lowest bucket that k rows reach.
struct Reservoir {
  static constexpr int kBuckets = 256;

  Candidate* candidates = nullptr;
  int64_t k = 0;
  int64_t size = 0;
  int64_t limit = 0;  // make_room() when size reaches it
  float bar = -std::numeric_limits<float>::infinity();
  bool counting = false;
  float origin = 0, width = 1, per_bound = 1;  // a bound's bucket is (bound - origin) / width
  int edge = 0;                     // that bucket
  int64_t reached = 0;              // rows counted in it and above
  int64_t count[kBuckets];
  float least[kBuckets];            // bound of a bucket

  Reservoir() {}  // written out: the buckets are filled when counting begins

  static int64_t limit_at_most(int64_t k) { return 8 * k + 256; }
  static int64_t capacity(int64_t k) { return limit_at_most(k) + 64; }  // a whole block may come before the limit is looked at
  void restart() {
    size = 0;
    limit = 2 * k + 32;
  }

  void add(int64_t row, float low, float high) {
    candidates[size++] = {row, low, high};
    if (counting) raise(low);
  }

  void begin_to_count(float from, float bucket);
  // Counts a lower bound, and raises the bar where k rows reach a higher bucket.
  void raise(float low) {
    const float at = (low - origin) * per_bound;
    if (!(at >= static_cast<float>(edge))) return;
    const int bucket = at < static_cast<float>(kBuckets - 1) ? static_cast<int>(at) : kBuckets - 1;
    if (count[bucket]++ == 0 || low < least[bucket]) least[bucket] = low;
    ++reached;
    while (reached - count[edge] >= k) reached -= count[edge++];
    if (reached >= k && least[edge] > bar) bar = least[edge];
    if (edge == kBuckets - 1 && reached > 2 * k + 16) limit = 0;  // no bucket is left: count anew
  }

  // Drops what falls below the bar, and begins to count if it does not yet. False if too many remain: the caller must settle them exactly.
  bool make_room();
  // The same, with the k candidates of best lower bounds first.
  bool tighten();
};

// What a sample says of the k best scores of a query: that they are all above `floor`, most probably.
struct Foretold {
  float floor = -std::numeric_limits<float>::infinity();
  float bucket = 1;  // for counting
};

// What a scan collects for one query.
struct Collector {
  TopK top;
  Reservoir reservoir;

  // No score below it can enter.
  float bar() const { return top.bar > reservoir.bar ? top.bar : reservoir.bar; }

  // Begins to collect the k best, of rows that score above the foretold floor.
  void start(int64_t k, const Foretold& foretold);
  // From the k best of a sample.
  Foretold foretell();
};

// Sorts what `count` collectors (at least 1) found, best first, into k scores and ids; the rest is nan and -1.
void merge(Collector* const* found, int64_t count, int64_t k, float* scores, int64_t* ids);

}  // namespace vecpress
