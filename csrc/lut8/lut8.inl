// Rounded 256-entry tables looked up in registers. Entries of four planes are averaged before they are widened (core/screen.inl).
// Included inside a target region and an anonymous namespace, after the region's vectors, core/table_scan.inl and the region's
// Table256, which loads a table of 256 bytes and looks up Bytes in it.

template <int Tile_, int TileAlone>
struct ByteTables {
  static constexpr int kQueries = 1, kTile = Tile_, kTileAlone = TileAlone, kSides = 1;
  using Exact = TableSums<256>;
  static constexpr int64_t kPlanes = 1024;  // 256 averages of at most 255

  // Written out flat: what is passed by reference does not stay in registers.
  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t begin, int64_t end, int64_t q, ByteSums (&sums)[G][W]) {
    static_assert(G == 1, "a table fills the registers of one query");
    ByteSums total[W];
    const uint8_t* tables = s.screens[q].numbers;
    int64_t j = begin;
    for (; j + 4 <= end; j += 4) {
      Bytes entries[4][W];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const Table256 table(tables + 256 * (j + i));
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w) entries[i][w] = table.lookup(tile.load(j + i, w));
      }
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w)
        total[w].add(average(average(entries[0][w], entries[1][w]), average(entries[2][w], entries[3][w])));
    }
    if (j < end) {
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        Bytes entries[4] = {Bytes::zero(), Bytes::zero(), Bytes::zero(), Bytes::zero()};
        for (int i = 0; j + i < end; ++i) entries[i] = Table256(tables + 256 * (j + i)).lookup(tile.load(j + i, w));
        total[w].add(average(average(entries[0], entries[1]), average(entries[2], entries[3])));
      }
    }
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) sums[0][w] = total[w];
  }

  // The sum of all 15 bits for row r of block b.
  static double refine_row(const Scan& s, int64_t q, int64_t b, int r) {
    const uint8_t* codes = s.block(b) + s.head * kBlock + r;
    const uint8_t* coarse = s.screens[q].numbers;
    const uint8_t* fine = coarse + fine_offset<256>(s);
    uint64_t upper = 0, lower = 0;
    for (int64_t j = 0; j < s.payload; ++j, coarse += 256, fine += 256) {
      upper += coarse[codes[j * kBlock]];
      lower += fine[codes[j * kBlock]];
    }
    return static_cast<double>(upper * kFiner + lower);
  }

  // The sums of all 15 bits for block b.
  [[gnu::noinline]] static void refine(const Scan& s, int64_t q, int64_t b, double* out) {
    constexpr int64_t kSummed = 256;  // planes: as many numbers of at most 255
    const uint8_t* coarse = s.screens[q].numbers;
    const uint8_t* fine = coarse + fine_offset<256>(s);
    alignas(64) uint16_t upper[kBlock], lower[kBlock];
    for (int row = 0; row < kBlock; row += Bytes::kLanes)
      for (int64_t begin = 0; begin < s.payload || begin == 0; begin += kSummed) {
        const int64_t end = begin + kSummed < s.payload ? begin + kSummed : s.payload;
        const Tile tile(s, b, row);
        ByteSums upper_sum, lower_sum;
        for (int64_t j = begin; j < end; ++j) {
          const Bytes codes = Bytes::load(tile.plane(j, 0));
          upper_sum.add(Table256(coarse + 256 * j).lookup(codes));
          lower_sum.add(Table256(fine + 256 * j).lookup(codes));
        }
        upper_sum.store(upper);
        lower_sum.store(lower);
        for (int r = 0; r < Bytes::kLanes; ++r)
          out[row + r] = (begin ? out[row + r] : 0) + static_cast<double>(upper[r] * kFiner + lower[r]);
      }
  }
};
