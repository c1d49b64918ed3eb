// `sdc` by tables: a query's nibble names a row of the static table, which the codes' nibbles look up in registers. Entries are
// added in bytes while they fit, then in 16 bits. Included after sdc/query.inl and the region's NibbleTable.

// Row of entries for bits `a` of a query, of which only `inside` are of dimensions.
template <int kNumberBits, int kBits>
inline void copy_row(int a, int inside, uint8_t* out) {
  constexpr int all = (1 << kBits) - 1;
  if ((inside & all) == all) {
    __builtin_memcpy(out, kSdcTable<kNumberBits, kBits>.entry[a & all], 1 << kBits);
    return;
  }
  for (int c = 0; c <= all; ++c) out[c] = static_cast<uint8_t>(sdc_products(kNumberBits, a & all, c, inside & all, kBits));
}

template <int kNumberBits>
struct Nibbles {
  static constexpr int kMost = kNumberBits == 1 ? 4 : kNumberBits == 2 ? 18 : 225;  // an entry's
  static constexpr int64_t kPlanes = 65535 / (2 * kMost);  // that 16 bits hold the sums of
  static constexpr int64_t kCounted = 255 / (2 * kMost);    // and bytes, 0 where no more than one entry
  static constexpr bool kSegments = false;
  static constexpr int kQueries = kTableQueries, kTile = 1, kTileAlone = 1, kSides = kTableSides;

  static int64_t bytes(const Scan& s) { return 32 * s.payload; }

  static uint32_t prepare(const Scan& s, int64_t q, uint8_t* out) {
    const uint8_t* code = query_code(s, q);
    for (int64_t j = 0; j < s.payload; ++j, out += 32) {
      const int inside = inside_byte(s, j);
      copy_row<kNumberBits, 4>(code[j], inside, out);
      copy_row<kNumberBits, 4>(code[j] >> 4, inside >> 4, out + 16);
    }
    return 0;
  }

  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t first, int64_t last, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G * W];
    const uint8_t* tables[G];
    for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
    constexpr int64_t step = kCounted ? kCounted : kPlanes;
    for (int64_t begin = first; begin < last; begin += step) {
      const int64_t end = begin + step < last ? begin + step : last;
      Bytes few[G * W];
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) few[i] = Bytes::zero();
      for (int64_t j = begin; j < end; ++j) {
        Bytes low[W], high[W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) {
          const Bytes codes = tile.load(j, w);
          low[w] = codes.template field<0, 4>();
          high[w] = codes.template field<4, 4>();
        }
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
          const NibbleTable of_low(tables[g] + 32 * j), of_high(tables[g] + 32 * j + 16);
#pragma GCC unroll 4
          for (int w = 0; w < W; ++w) {
            const Bytes a = of_low.lookup(low[w]), b = of_high.lookup(high[w]);
            if constexpr (kCounted != 0) {
              few[g * W + w] = few[g * W + w] + (a + b);
            } else {
              total[g * W + w].add(a);
              total[g * W + w].add(b);
            }
          }
        }
      }
      if constexpr (kCounted != 0) {
#pragma GCC unroll 8
        for (int i = 0; i < G * W; ++i) total[i].add(few[i]);
      }
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g * W + w];
  }
};
