// Rounded 16-entry tables looked up in registers. Both nibbles' entries are at most 127, so they are added as bytes before they are
// widened. Included inside a target region and an anonymous namespace, after the region's vectors and core/scan.inl.

struct NibbleTables {
  static constexpr int kQueries = 4;
  using Exact = TableSums<16>;
  static constexpr int64_t kPlanes = 256;  // 256 * 2 * 127 < 65536

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t begin, int64_t end, int64_t q, uint16_t (*out)[kBlock]) {
    for (int r = 0; r < kBlock; r += Bytes::kLanes) {
      ByteSums total[G];
      const uint8_t* tables[G];
      for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
#pragma GCC unroll 4
      for (int64_t j = begin; j < end; ++j) {
        const Bytes codes = Bytes::load(payload + j * kBlock + r);
        const Bytes low = codes.low_nibbles(), high = codes.high_nibbles();
        for (int g = 0; g < G; ++g)
          total[g].add(Bytes::table16(tables[g] + 32 * j).lookup(low) + Bytes::table16(tables[g] + 32 * j + 16).lookup(high));
      }
      for (int g = 0; g < G; ++g) total[g].store(out[g] + r);
    }
  }
};

void scan_lut4(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  scan_screened<NibbleTables>(s, q0, q1, b0, b1, collectors);
}
