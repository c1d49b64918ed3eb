// Hamming distances of 64 codes at a time. Equal bits are counted, so that more is better: xor with the query's inverted byte, count, add
// bytes for 31 planes (31 * 8 < 256), then 16 bits. Included inside a target region and an anonymous namespace, after the region's vectors
// and core/counts.inl.

constexpr int64_t kCounted = 31;  // planes

inline int64_t inverted_bytes(const Scan& s) { return 4 * s.payload; }

// Query q's bytes, inverted, each four times, for they are read as 32 bits.
inline Screen invert_query(const Scan& s, int64_t q, uint8_t* out) {
  const uint8_t* bits = static_cast<const uint8_t*>(s.operand) + q * s.payload;
  for (int64_t j = 0; j < s.payload; ++j)
    for (int i = 0; i < 4; ++i) out[4 * j + i] = static_cast<uint8_t>(~bits[j]);
  Screen screen;
  screen.numbers = out;
  return screen;
}

// Scores that fall with the distance and depend on nothing else.
struct CountScores {
  static uint32_t most(const Scan& s) { return static_cast<uint32_t>(8 * s.payload); }
  static float of(const Scan& s, int64_t q, uint32_t equal) { return static_cast<float>(most(s) - equal) * s.scale.value + s.constant[q]; }
  static double number(const Scan& s, int64_t q, float score) {
    return most(s) - (static_cast<double>(score) - s.constant[q]) / s.scale.value;
  }
};

struct EqualBits {
  static constexpr int kQueries = kRegisters == 32 ? 4 : 2, kTile = 1, kTileAlone = 1, kSides = 1;
  using Shared = NothingShared;
  static constexpr int64_t kShared = int64_t{1} << 40;
  template <int G>
  using Wanted = EachWanted<CountsWanted<CountScores>, G>;

  template <class Wanted>
  static void collect(const Scan& s, int64_t q, int g, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const uint16_t* equal) {
    wanted.query[g].collect(s, q, collector, b, pass, equal);
  }

  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t first, int64_t last, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G][W];  // in registers, which `sums` may not be
    const uint8_t* bytes[G];
    for (int g = 0; g < G; ++g) bytes[g] = s.screens[q + g].numbers;
    for (int64_t begin = first; begin < last; begin += kCounted) {
      const int64_t end = begin + kCounted < last ? begin + kCounted : last;
      Bytes few[G][W];
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) few[g][w] = Bytes::zero();
      for (int64_t j = begin; j < end; ++j) {
        Bytes codes[W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) codes[w] = tile.load(j, w);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
          const Bytes inverted = Bytes::set_four(bytes[g] + 4 * j);
#pragma GCC unroll 4
          for (int w = 0; w < W; ++w) few[g][w] = few[g][w] + (codes[w] ^ inverted).popcount();
        }
      }
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) total[g][w].add(few[g][w]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g][w];
  }
};

// Scores that need more than the distance, or do not fall with it: every row's.
inline void scan_counts(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector& collector) {
  alignas(64) uint16_t equal[kBlock];
  alignas(64) float sums[kBlock], scores[kBlock];
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    for (int row = 0; row < kBlock; row += Bytes::kLanes) {
      ByteSums counted[1][1];
      EqualBits::sums<1, 1>(s, Tile(s, b, row), 0, s.payload, q, counted);
      counted[0][0].store(equal + row);
    }
    for (int r = 0; r < kBlock; ++r) sums[r] = static_cast<float>(8 * s.payload - equal[r]);
    finish_block(s, s.block(b), sums, s.constant[q], scores);
    offer_block(s, collector.top, b, mask, scores);
  }
}

void scan_hamming(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool falling = s.scale.kind == Factor::none && s.scale.value < 0 && s.bias.kind == Factor::none;
  if (falling) return scan_queries<EqualBits>(s, q0, q1, b0, b1, collectors);
  for (int64_t q = q0; q < q1; ++q) scan_counts(s, q, b0, b1, collectors[q - q0]);
}
