// The scan: numbers of whole blocks by one of the forms, which of them can enter, and the scores of those. Included after the
// forms and the region's fastest_form, TwoBitTables and FourBitProducts.

// One positive scale for all rows, or none: K::sums or K::numbers as they are.
template <class K>
struct EvenNumbers : K {
  using Shared = NothingShared;
  static constexpr int64_t kShared = int64_t{1} << 40;
  template <int G>
  using Wanted = EachWanted<CountsWanted<SumScores>, G>;

  template <class Wanted, class Number>
  static void collect(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass,
                      const Number* numbers) {
    wanted.query[g].collect(s, q, collector, b, pass, numbers);
  }
};

// Rows with factors: a block's range of these rules out most numbers, as in scans of tables, and scores the rest.
template <class K>
struct FactorNumbers : ScaledTables<K> {
  template <class Wanted, class Number>
  static void collect(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass,
                      const Number* numbers) {
    alignas(64) float sums[kBlock], scores[kBlock];
    const uint8_t* block = s.block(b);
    if (__builtin_popcountll(pass) > kFewRows) {
      for (int r = 0; r < kBlock; ++r) sums[r] = sum_of(s, q, pass >> r & 1 ? numbers[r] : 0);
      finish_block(s, block, sums, s.constant[q], scores);
      pass &= not_below(scores, collector.bar());
    } else {
      for (uint64_t rows = pass; rows; rows &= rows - 1) {
        const int r = __builtin_ctzll(rows);
        scores[r] = finish(s, block, r, sum_of(s, q, numbers[r]), s.constant[q]);
      }
    }
    for (; pass; pass &= pass - 1) {
      const int r = __builtin_ctzll(pass);
      const float score = scores[r] == scores[r] ? scores[r] : -__builtin_inff();  // as TopK::push has it
      if (!(score < collector.bar())) collector.reservoir.add(b * kBlock + r, score, score);
    }
    make_room_for_known(s, q, collector);
    wanted.all.raise(s, q, g, collector.bar());
  }
};

// Sums of more than 16 bits, of parts that these hold.
template <class K>
struct InParts : K {
  template <int>
  static constexpr int kWideSides = 1;

  template <int G, class Codes>
  static void numbers(const Scan& s, const Codes& tile, int64_t q, int row, uint32_t (*out)[kBlock]) {
    alignas(64) uint16_t some[kBlock];
    for (int64_t begin = 0; begin < s.payload; begin += K::kPlanes) {
      ByteSums sums[G][1];
      K::template sums<G, 1>(s, tile, begin, begin + K::kPlanes < s.payload ? begin + K::kPlanes : s.payload, q, sums);
      for (int g = 0; g < G; ++g) {
        sums[g][0].store(some);
        for (int r = 0; r < Bytes::kLanes; ++r) out[g][row + r] = (begin ? out[g][row + r] : 0) + some[r];
      }
    }
  }
};

// G queries, block by block, by numbers of 32 bits: K::numbers<G>(scan, tile, q, row, uint32[G][64]) writes those of
// K::kWideSides<G> registers of rows.
template <class K, int G, bool kStreams>
inline void scan_wide_group(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  constexpr int H = K::template kWideSides<G>;
  using Plain = RowsTile<H>;
  using First = std::conditional_t<kStreams, StreamedRowsTile<H>, Plain>;
  alignas(64) uint32_t numbers[G][kBlock];
  typename K::template Wanted<G> wanted;
  wanted.start(s, q, collectors, static_cast<const typename K::Shared*>(nullptr));
  for (Walk walk(s, b0, b1, kStreams); !walk.done(); walk.next()) {
    const int64_t b = walk.b;
    K::template numbers<G>(s, First(s, b, 0, walk.ahead()), q, 0, numbers);
    for (int row = H * Bytes::kLanes; row < kBlock; row += H * Bytes::kLanes)
      K::template numbers<G>(s, Plain(s, b, row), q, row, numbers);
    const uint64_t mask = rows_of(s, b);
    const uint32_t* floor = wanted.floors(s, b);
    for (int g = 0; g < G; ++g)
      if (const uint64_t pass = mask & at_least(numbers[g], floor[g]))
        K::collect(s, q + g, g, collectors[g], wanted, b, pass, numbers[g]);
  }
}

template <class K>
inline void scan_wide(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  int64_t q = q0;
  const auto scan_next = [&](auto count) {
    constexpr int G = decltype(count)::value;
    if (q == q0 && from_memory(s))
      scan_wide_group<K, G, true>(s, q, b0, b1, collectors + (q - q0));
    else
      scan_wide_group<K, G, false>(s, q, b0, b1, collectors + (q - q0));
    q += G;
  };
  while (q + K::kQueries <= q1) scan_next(std::integral_constant<int, K::kQueries>());
  while (q < q1) scan_next(std::integral_constant<int, 1>());
}

// K is how numbers are made, K::kPlanes how many bytes of code 16 bits hold the sums of, 0 where K makes 32 at once.
template <class K>
inline void scan_numbers(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool even = s.scale.kind == Factor::none && s.scale.value > 0 && s.bias.kind == Factor::none;
  if constexpr (K::kPlanes == 0) {
    return even ? scan_wide<EvenNumbers<K>>(s, q0, q1, b0, b1, collectors)
                : scan_wide<FactorNumbers<K>>(s, q0, q1, b0, b1, collectors);
  } else if (s.payload <= K::kPlanes) {
    if constexpr (K::kSegments)
      return even ? scan_segments<EvenNumbers<K>>(s, q0, q1, b0, b1, collectors)
                  : scan_segments<FactorNumbers<K>>(s, q0, q1, b0, b1, collectors);
    else
      return even ? scan_queries<EvenNumbers<K>>(s, q0, q1, b0, b1, collectors)
                  : scan_queries<FactorNumbers<K>>(s, q0, q1, b0, b1, collectors);
  } else {
    using Long = InParts<K>;
    return even ? scan_wide<EvenNumbers<Long>>(s, q0, q1, b0, b1, collectors)
                : scan_wide<FactorNumbers<Long>>(s, q0, q1, b0, b1, collectors);
  }
}

// visit(K()) for the form that is asked for, or for another where it would be of no use: a number of 1 bit is its own plane, and
// 16 pairs of planes of 4 bits take six times as long as their products.
template <class Visit>
inline auto with_form(const Scan& s, Visit visit) {
  const int form = s.form == kFastest ? fastest_form(s) : s.form;
  if (s.n_bits == 1) return form == kByTables ? visit(Nibbles<1>()) : visit(BitPlanes<1>());
  if (s.n_bits == 4) return form == kByTables ? visit(Nibbles<4>()) : visit(FourBitProducts());
  if (form == kByTables) return visit(TwoBitTables());
  return form == kByPlanes ? visit(BitPlanes<2>()) : visit(Products<2>());
}

inline int64_t sdc_query_bytes(const Scan& s) {
  return with_form(s, [&](auto kernel) { return decltype(kernel)::bytes(s); });
}

inline Screen sdc_query(const Scan& s, int64_t q, uint8_t* out) {
  Screen screen;
  screen.numbers = out;
  screen.start = with_form(s, [&](auto kernel) { return decltype(kernel)::prepare(s, q, out); });
  const double weight = s.weights[q], most = most_of(s) * weight;
  screen.usable = true;
  screen.coarse.base = -most;
  screen.coarse.step = 2 * weight;
  screen.coarse.per_step = 0.5 / weight;
  screen.fine = screen.coarse;
  screen.extent = 4 * most;
  return screen;
}

void scan_sdc(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  with_form(s, [&](auto kernel) { scan_numbers<decltype(kernel)>(s, q0, q1, b0, b1, collectors); });
}
