// `sdc` by counting bits: numbers of 1 bit are multiplied by xor; of 2 bits, the products of high bits count four times, those of
// low bits once and those of high with low bits twice. Included after sdc/query.inl.

template <int kNumberBits>
struct BitPlanes {
  static constexpr bool kSegments = false;
  static constexpr int kQueries = kRegisters == 32 ? 4 : 2, kTile = 1, kTileAlone = 1, kSides = 1;
  static constexpr int64_t kPlanes = 65535 / (kNumberBits == 1 ? 8 : 36);  // that 16 bits hold the sums of
  static constexpr int64_t kCounted = 31;                                  // and bytes: 8 bits each
  // Of a query: its bits inverted, and the same with the halves of numbers swapped.
  static constexpr int kParts = kNumberBits == 1 ? 1 : 2;

  // Behind these, which bits of the last byte belong to dimensions.
  static int64_t bytes(const Scan& s) { return 4 * kParts * s.payload + 1; }

  static uint32_t prepare(const Scan& s, int64_t q, uint8_t* out) {
    const uint8_t* code = query_code(s, q);
    for (int64_t j = 0; j < s.payload; ++j)
      for (int part = 0; part < kParts; ++part, out += 4) {
        const int bits = part == 0 ? code[j] : (code[j] & 0x55) << 1 | (code[j] >> 1 & 0x55);
        for (int i = 0; i < 4; ++i) out[i] = static_cast<uint8_t>(~bits);
      }
    *out = static_cast<uint8_t>(s.payload ? inside_byte(s, s.payload - 1) : 0xFF);
    return 0;
  }

  struct Counts {
    Bytes equal = Bytes::zero(), high = Bytes::zero(), crossed = Bytes::zero();
    Counts() {}  // written out: an implicit one is no part of the region
    [[gnu::always_inline]] void add(Bytes codes, const uint8_t* query) {
      const Bytes same = codes ^ Bytes::set_four(query);
      equal = equal + same.popcount();
      if constexpr (kNumberBits == 2) {
        high = high + (same & Bytes::set1(0xAA)).popcount();
        crossed = crossed + (codes ^ Bytes::set_four(query + 4)).popcount();
      }
    }
    [[gnu::always_inline]] void add_inside(Bytes codes, const uint8_t* query, Bytes inside) {
      const Bytes same = (codes ^ Bytes::set_four(query)) & inside;
      equal = equal + same.popcount();
      if constexpr (kNumberBits == 2) {
        high = high + (same & Bytes::set1(0xAA)).popcount();
        crossed = crossed + ((codes ^ Bytes::set_four(query + 4)) & inside).popcount();
      }
    }
    [[gnu::always_inline]] void widen(ByteSums& sums) const {
      sums.add(equal);
      if constexpr (kNumberBits == 2) {
        sums.add(high + high);  // at most 31 * 8
        sums.add(high);
        sums.add(crossed);
        sums.add(crossed);
      }
    }
  };

  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t first, int64_t last, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G * W];
    const uint8_t* queries[G];
    for (int g = 0; g < G; ++g) queries[g] = s.screens[q + g].numbers;
    const uint8_t inside = last == s.payload ? queries[0][4 * kParts * last] : 0xFF;
    const int64_t whole = inside == 0xFF ? last : last - 1;
    for (int64_t begin = first; begin < last; begin += kCounted) {
      const int64_t end = begin + kCounted < whole ? begin + kCounted : whole;
      Counts few[G * W];
#pragma GCC unroll 2
      for (int64_t j = begin; j < end; ++j) {
        Bytes codes[W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) codes[w] = tile.load(j, w);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
          for (int w = 0; w < W; ++w) few[g * W + w].add(codes[w], queries[g] + 4 * kParts * j);
      }
      if (end == whole && whole < last && whole < begin + kCounted)
        for (int w = 0; w < W; ++w) {
          const Bytes codes = tile.load(whole, w);
          for (int g = 0; g < G; ++g) few[g * W + w].add_inside(codes, queries[g] + 4 * kParts * whole, Bytes::set1(inside));
        }
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) few[i].widen(total[i]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g * W + w];
  }
};
