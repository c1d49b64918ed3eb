// Scans whose whole numbers are the scores, but for a map that never falls: which of them can enter. Included inside a target region and an
// anonymous namespace, after core/tiles.inl.

// Moves what was collected to the top k: its scores are known.
inline void settle_known(const Scan& s, int64_t, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  for (int64_t i = 0; i < reservoir.size; ++i)
    if (!(reservoir.candidates[i].high < collector.bar())) offer(s, collector.top, reservoir.candidates[i].row, reservoir.candidates[i].low);
  reservoir.restart();
}

inline void make_room_for_known(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  if (reservoir.size >= reservoir.limit && !reservoir.make_room()) settle_known(s, q, collector);
}

// Scores::of(scan, q, number) is the score of a row, which never falls as the number rises to Scores::most(scan). Rows come in ascending
// order, so without explicit ids a later row loses every tie.
template <class Scores>
struct CountsWanted {
  uint32_t floor;

  void start(const Scan& s, int64_t q, const Collector& collector) {
    floor = 0;
    raise(s, q, collector);
  }

  void raise(const Scan& s, int64_t q, const Collector& collector) {
    const uint32_t most = Scores::most(s);
    const float bar = collector.bar();
    uint32_t step = 1;
    while (floor <= most && !enters(s, q, bar, floor)) {  // mostly it is the next one
      floor += step;
      step *= 2;
    }
    if (step <= 2) return;
    uint32_t least = floor - step / 2 + 1, above = floor < most + 1 ? floor : most + 1;  // floor - step / 2 does not enter
    while (least < above) {
      const uint32_t middle = (least + above) / 2;
      if (enters(s, q, bar, middle))
        above = middle;
      else
        least = middle + 1;
    }
    floor = least;
  }

  static bool enters(const Scan& s, int64_t q, float bar, uint32_t number) {
    const float score = score_of(s, q, number);
    return score > bar || (s.ids && score == bar) || bar == -__builtin_inff();
  }

  template <class Number>
  void collect(const Scan& s, int64_t q, Collector& collector, int64_t b, uint64_t pass, const Number* numbers) {
    for (; pass; pass &= pass - 1) {
      const int r = __builtin_ctzll(pass);
      const float score = score_of(s, q, numbers[r]);
      collector.reservoir.add(b * kBlock + r, score, score);
    }
    make_room_for_known(s, q, collector);
    raise(s, q, collector);
  }

  static float score_of(const Scan& s, int64_t q, uint32_t number) {
    const float score = Scores::of(s, q, number);
    return score == score ? score : -__builtin_inff();  // as TopK::push has it
  }
};
