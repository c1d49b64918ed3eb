// Rounded 16-entry tables looked up in registers. Entries of the four nibbles of two planes are averaged before they are widened
// (core/screen.inl). Included inside a target region and an anonymous namespace, after the region's vectors and core/table_scan.inl.

struct NibbleTables {
  static constexpr int kQueries = kRegisters == 32 ? 4 : 2, kTile = 1, kTileAlone = 1, kSides = 1;
  using Exact = TableSums<16>;
  static constexpr int64_t kPlanes = 512;  // 256 averages of at most 255

  // Written out flat: what is passed by reference, or an array of arrays, does not stay in registers.
  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t begin, int64_t end, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G * W];
    const uint8_t* tables[G];
    for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
    int64_t j = begin;
    for (; j + 2 <= end; j += 2) {
      Bytes places[W * 4];
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        const Bytes first = tile.load(j, w), second = tile.load(j + 1, w);
        places[4 * w] = FourTables::place<0>(first);
        places[4 * w + 1] = FourTables::place<1>(first);
        places[4 * w + 2] = FourTables::place<2>(second);
        places[4 * w + 3] = FourTables::place<3>(second);
      }
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const FourTables four(tables[g] + 32 * j);
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w)
          total[g * W + w].add(average(average(four.lookup<0>(places[4 * w]), four.lookup<1>(places[4 * w + 1])),
                                       average(four.lookup<2>(places[4 * w + 2]), four.lookup<3>(places[4 * w + 3]))));
      }
    }
    if (j < end) {
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        const Bytes codes = tile.load(j, w), low = FourTables::place<0>(codes), high = FourTables::place<1>(codes);
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
          const FourTables four(tables[g] + 32 * j);
          total[g * W + w].add(average(average(four.lookup<0>(low), four.lookup<1>(high)), Bytes::zero()));
        }
      }
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g * W + w];
  }

  // The sum of all 15 bits for row r of block b.
  static double refine_row(const Scan& s, int64_t q, int64_t b, int r) {
    const uint8_t* codes = s.block(b) + s.head * kBlock + r;
    const uint16_t* entries = all_bits(s, s.screens[q]);
    uint64_t even = 0, odd = 0;
    for (int64_t j = 0; j < s.payload; ++j, entries += 32) {
      const uint64_t byte = codes[j * kBlock];
      even += entries[byte & 15];
      odd += entries[16 + (byte >> 4)];
    }
    return static_cast<double>(even + odd);
  }

  // The sums of all 15 bits for block b.
  [[gnu::noinline]] static void refine(const Scan& s, int64_t q, int64_t b, double* out) {
    constexpr int64_t kSummed = 128;  // planes: 256 numbers of at most 255
    const uint8_t* coarse = s.screens[q].numbers;
    const uint8_t* fine = coarse + fine_offset<16>(s);
    alignas(64) uint16_t upper[kBlock], lower[kBlock];
    for (int row = 0; row < kBlock; row += Bytes::kLanes)
      for (int64_t begin = 0; begin < s.payload || begin == 0; begin += kSummed) {
        const int64_t end = begin + kSummed < s.payload ? begin + kSummed : s.payload;
        const Tile tile(s, b, row);
        ByteSums first_upper, second_upper, lower_sum;  // two, for every sum waits for the one before
        for (int64_t j = begin; j < end; ++j) {
          const Bytes codes = Bytes::load(tile.plane(j, 0)), low = FourTables::place<0>(codes), high = FourTables::place<1>(codes);
          const FourTables upper_bits(coarse + 32 * j), lower_bits(fine + 32 * j);
          first_upper.add(upper_bits.lookup<0>(low));
          second_upper.add(upper_bits.lookup<1>(high));
          lower_sum.add(lower_bits.lookup<0>(low) + lower_bits.lookup<1>(high));
        }
        first_upper.add(second_upper);
        first_upper.store(upper);
        lower_sum.store(lower);
        for (int r = 0; r < Bytes::kLanes; ++r)
          out[row + r] = (begin ? out[row + r] : 0) + static_cast<double>(upper[r] * kFiner + lower[r]);
      }
  }
};

inline void scan_lut4(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_tables<NibbleTables>(s, q0, q1, b0, b1, collectors);
}
