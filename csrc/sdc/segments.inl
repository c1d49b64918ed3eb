// The walk for tables that are many times as large as codes. Included after core/tiles.inl.

// The walk over blocks in which tables stay in the nearest cache, however long codes are: some of the planes of several blocks,
// then the next planes of these.
template <class K>
struct Segments {
  static constexpr int64_t kPlanes = 96;  // 8 KB of tables
  static constexpr int kBlocks = 16;      // whose sums are kept meanwhile

  template <int G, bool kStreams>
  static void scan(const Scan& s, int64_t q, int64_t b0, int64_t b1, const typename K::Shared* shared, Collector* collectors) {
    typename K::template Wanted<G> wanted;
    wanted.start(s, q, collectors, shared);
    Walk walk(s, b0, b1, false);
    while (!walk.done()) {
      int64_t blocks[kBlocks];
      int count = 0;
      for (; count < kBlocks && !walk.done(); walk.next()) blocks[count++] = walk.b;
      ByteSums sums[kBlocks][G];
      for (int64_t first = 0; first < s.payload; first += kPlanes / G) {
        const int64_t last = first + kPlanes / G < s.payload ? first + kPlanes / G : s.payload;
        int i = 0;
        if constexpr (G == 1 && !kStreams)
          for (; i + 2 <= count && blocks[i + 1] == blocks[i] + 1; i += 2)
            add<1, 2, Tile>(s, blocks[i], first, last, q, sums + i);
        for (; i < count; ++i)
          add<G, 1, std::conditional_t<kStreams, StreamedTile, Tile>>(s, blocks[i], first, last, q, sums + i);
      }
      alignas(64) uint16_t numbers[kBlock];
      for (int i = 0; i < count; ++i) {
        const uint64_t mask = rows_of(s, blocks[i]);
        const uint32_t* floor = wanted.floors(s, blocks[i]);
        for (int g = 0; g < G; ++g) {
          if (floor[g] > kLargestSum) continue;
          const uint64_t pass = mask & sums[i][g].at_least(static_cast<uint16_t>(floor[g]), numbers);
          if (pass) K::collect(s, q + g, g, collectors[g], wanted, blocks[i], pass, numbers);
        }
      }
    }
  }

  // Of W blocks from b on.
  template <int G, int W, class Codes>
  static void add(const Scan& s, int64_t b, int64_t first, int64_t last, int64_t q, ByteSums (*all)[G]) {
    ByteSums some[G][W];
    K::template sums<G, W>(s, Codes(s, b, 0, 2 * s.stride * kBlock), first, last, q, some);
    for (int w = 0; w < W; ++w)
      for (int g = 0; g < G; ++g) {
        if (first)
          all[w][g].add(some[g][w]);
        else
          all[w][g] = some[g][w];
      }
  }
};

template <class K>
inline void scan_segments(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool share = q1 - q0 > K::kQueries;
  const int64_t at_once = share ? K::kShared : b1 - b0;
  for (int64_t begin = b0; begin < b1; begin += at_once) {
    const int64_t end = begin + at_once < b1 ? begin + at_once : b1;
    typename K::Shared shared;
    if (share) shared.start(s, begin, end);
    int64_t q = q0;
    const auto scan_next = [&](auto count) {
      constexpr int G = decltype(count)::value;
      const typename K::Shared* const known = share ? &shared : nullptr;
      if (q == q0 && from_memory(s))
        Segments<K>::template scan<G, true>(s, q, begin, end, known, collectors + (q - q0));
      else
        Segments<K>::template scan<G, false>(s, q, begin, end, known, collectors + (q - q0));
      q += G;
    };
    while (q + K::kQueries <= q1) scan_next(std::integral_constant<int, K::kQueries>());
    while (q < q1) scan_next(std::integral_constant<int, 1>());
  }
}
