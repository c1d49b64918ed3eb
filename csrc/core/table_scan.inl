// Scans that sum rounded tables. Included inside a target region and an anonymous namespace, after core/bounds.inl, core/screen.inl and
// core/tiles.inl.
//
// Sums::sums<G, W> is as in core/tiles.inl, Sums::refine(scan, q, block, double[64]) gives the fine numbers of a block,
// Sums::refine_row(scan, q, block, row) that of a row, Sums::Exact the exact sums; at most Sums::kPlanes payload bytes do not overflow.

template <class Sums>
inline void refine_rows(const Scan& s, int64_t q, int64_t b, uint64_t pass, double* fine) {
  if (__builtin_popcountll(pass) > kFewRows) return Sums::refine(s, q, b, fine);
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    fine[r] = Sums::refine_row(s, q, b, r);
  }
}

template <class Sums>
struct PlainTables : Sums {
  using Shared = NothingShared;
  static constexpr int64_t kShared = int64_t{1} << 40;
  template <int G>
  using Wanted = EachWanted<SumsWanted, G>;

  template <class Wanted, class Number>
  static void collect(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const Number* numbers) {
    collect_by(s, q, g, collector, wanted, b, pass, numbers, refine_rows<Sums>);
  }

  // refine(scan, q, b, rows, double[64]) gives the fine numbers of some rows of a block.
  template <class Wanted, class Number, class Refine>
  static void collect_by(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const Number*,
                         const Refine& refine) {
    alignas(64) double fine[kBlock];
    refine(s, q, b, pass, fine);
    wanted.query[g].template collect<typename Sums::Exact>(s, q, collector, b, pass, fine);
  }
};

// Codes with factors.
template <class Sums>
struct ScaledTables : Sums {
  static constexpr int64_t kShared = 64;
  // Each block's.
  struct Shared {
    FactorRange range[kShared];
    int64_t first;
    void start(const Scan& s, int64_t b0, int64_t b1) {
      first = b0;
      for (int64_t b = b0; b < b1; ++b) range[b - b0] = range_of(s, b);
    }
  };

  template <int G>
  struct Wanted {
    Floors<G> all;
    const Shared* shared;
    void start(const Scan& s, int64_t q, const Collector* collectors, const Shared* known) {
      all.start(s, q, G, collectors);
      shared = known;
    }
    const uint32_t* floors(const Scan& s, int64_t b) {
      all.compute(shared ? shared->range[b - shared->first] : range_of(s, b), 0, G);
      return all.floor;
    }
  };

  static FactorRange range_of(const Scan& s, int64_t b) {
    alignas(64) float scale[kBlock], bias[kBlock] = {};
    factors_of(s.scale, s.block(b), scale);
    if (s.bias.kind != Factor::none) factors_of(s.bias, s.block(b), bias);
    return FactorRange(scale, bias, BlockFactors::kSlack);
  }

  template <class Wanted, class Number>
  static void collect(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const Number* numbers) {
    collect_by(s, q, g, collector, wanted, b, pass, numbers, refine_rows<Sums>);
  }

  template <class Wanted, class Number, class Refine>
  static void collect_by(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const Number* numbers,
                         const Refine& refine) {
    alignas(64) uint32_t coarse[kBlock];
    alignas(64) double fine[kBlock];
    for (int r = 0; r < kBlock; ++r) coarse[r] = pass >> r & 1 ? numbers[r] : 0;
    const BlockFactors factors(s, s.block(b));
    const Screen& screen = s.screens[q];
    pass &= reach(s, screen, screen.coarse, factors, collector.bar(), coarse, s.constant[q]);
    if (!pass) return;
    refine(s, q, b, pass, fine);
    collect_scaled<typename Sums::Exact>(s, q, collector, factors, b, pass, fine);
    wanted.all.raise(s, q, g, collector.bar());
  }
};

// Codes longer than 16 bits hold the sums of: a block at a time.
template <class K>
inline void scan_long(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector& collector) {
  alignas(64) uint16_t some[kBlock];
  alignas(64) uint32_t numbers[kBlock];
  typename K::template Wanted<1> wanted;
  wanted.start(s, q, &collector, static_cast<const typename K::Shared*>(nullptr));
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    for (int row = 0; row < kBlock; row += Bytes::kLanes)
      for (int64_t plane = 0; plane < s.payload; plane += K::kPlanes) {
        ByteSums sums[1][1];
        const int64_t end = plane + K::kPlanes < s.payload ? plane + K::kPlanes : s.payload;
        K::template sums<1, 1>(s, Tile(s, b, row), plane, end, q, sums);
        sums[0][0].store(some);
        for (int r = 0; r < Bytes::kLanes; ++r) numbers[row + r] = (plane ? numbers[row + r] : 0) + some[r];
      }
    const uint32_t floor = *wanted.floors(s, b);
    if (const uint64_t pass = mask & at_least(numbers, floor)) K::collect(s, q, 0, collector, wanted, b, pass, numbers);
  }
}

template <class Sums>
inline void scan_tables(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool plain = s.plain();
  if (s.payload <= Sums::kPlanes) {
    if (plain)
      scan_queries<PlainTables<Sums>>(s, q0, q1, b0, b1, collectors);
    else
      scan_queries<ScaledTables<Sums>>(s, q0, q1, b0, b1, collectors);
    return;
  }
  for (int64_t q = q0; q < q1; ++q) {
    if (plain)
      scan_long<PlainTables<Sums>>(s, q, b0, b1, collectors[q - q0]);
    else
      scan_long<ScaledTables<Sums>>(s, q, b0, b1, collectors[q - q0]);
  }
}
