// Scans whose whole numbers are the scores, but for a map that never falls: which of them can enter. Included inside a target
// region and an anonymous namespace, after core/tiles.inl.

// Moves what was collected to the top k: its scores are known.
inline void settle_known(const Scan& s, int64_t, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  for (int64_t i = 0; i < reservoir.size; ++i)
    if (!(reservoir.candidates[i].high < collector.bar()))
      offer(s, collector.top, reservoir.candidates[i].row, reservoir.candidates[i].low);
  reservoir.restart();
}

inline void make_room_for_known(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  if (reservoir.size >= reservoir.limit && !reservoir.make_room()) settle_known(s, q, collector);
}

// Scores::of(scan, q, number) is the score of a row, which never falls as the number rises to Scores::most(scan), and
// Scores::number(scan, q, score) about its inverse. Rows come in ascending order, so without explicit ids a later row loses every
// tie.
template <class Scores>
struct CountsWanted {
  uint32_t floor;

  void start(const Scan& s, int64_t q, const Collector& collector) {
    floor = 0;
    raise(s, q, collector);
  }

  void raise(const Scan& s, int64_t q, const Collector& collector) {
    const float bar = collector.bar();
    if (enters(s, q, bar, floor)) return;
    const uint32_t most = Scores::most(s);
    uint32_t below = floor, above = most + 1;  // the floor is above the one and not above the other
    // where the score is that of the bar, but for roundings
    const double guess = Scores::number(s, q, bar);
    if (guess > static_cast<double>(below) && guess < static_cast<double>(above)) {
      const uint32_t near = static_cast<uint32_t>(guess);
      const uint32_t least = near > below + 1 ? near - 1 : below, largest = near + 2 < above ? near + 2 : above;
      if (least == below || !enters(s, q, bar, least)) below = least;
      if (largest == above || enters(s, q, bar, largest)) above = largest;
    }
    while (above - below > 1) {
      const uint32_t middle = (below + above) / 2;
      if (enters(s, q, bar, middle))
        above = middle;
      else
        below = middle;
    }
    floor = above;
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
