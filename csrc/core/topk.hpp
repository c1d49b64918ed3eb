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
};

// Collects rows by bounds of their scores. With `bar` the k-th best lower bound seen, no row whose upper bound is below it can be among
// the k best, and only the others need exact scores: few.
struct Reservoir {
  Candidate* candidates = nullptr;
  int64_t k = 0;
  int64_t size = 0;
  int64_t limit = 0;  // tighten() when size reaches it
  float bar = -std::numeric_limits<float>::infinity();

  static int64_t limit_at_most(int64_t k) { return 8 * k + 256; }
  static int64_t capacity(int64_t k) { return limit_at_most(k) + 64; }  // a whole block may come before the limit is looked at
  void restart() {
    size = 0;
    limit = 2 * k + 32;
  }
  // Raises the bar and drops what falls below; the k candidates of best lower bounds come first. False if too many remain: the caller
  // must settle them exactly.
  bool tighten();
};

// What a scan collects for one query.
struct Collector {
  TopK top;
  Reservoir reservoir;

  // No score below it can enter.
  float bar() const { return top.bar > reservoir.bar ? top.bar : reservoir.bar; }
};

// Sorts what `count` collectors (at least 1) found, best first, into k scores and ids; the rest is nan and -1.
void merge(Collector* const* found, int64_t count, int64_t k, float* scores, int64_t* ids);

}  // namespace vecpress
