// Rounded 256-entry tables looked up in registers. Two planes' entries, at most 127 each, are added as bytes before they are widened.
// Included inside a target region and an anonymous namespace, after the region's vectors, core/scan.inl and the region's Table256,
// which loads a table of 256 bytes and looks up Bytes in it.

template <int Q>
struct ByteTables {
  static constexpr int kQueries = Q;
  using Exact = TableSums<256>;
  static constexpr int64_t kPlanes = 512;  // 512 * 127 < 65536

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t begin, int64_t end, int64_t q, uint16_t (*out)[kBlock]) {
    constexpr int kParts = kBlock / Bytes::kLanes;
    ByteSums total[G][kParts];
    for (int64_t j = begin; j < end; j += 2) {
      const uint8_t* plane = payload + j * kBlock;
      for (int g = 0; g < G; ++g) {
        const uint8_t* tables = s.screens[q + g].numbers + 256 * j;
        const Table256 first(tables);
        Bytes sum[kParts];
        for (int p = 0; p < kParts; ++p) sum[p] = first.lookup(Bytes::load(plane + p * Bytes::kLanes));
        if (j + 1 < end) {
          const Table256 second(tables + 256);
          for (int p = 0; p < kParts; ++p) sum[p] = sum[p] + second.lookup(Bytes::load(plane + kBlock + p * Bytes::kLanes));
        }
        for (int p = 0; p < kParts; ++p) total[g][p].add(sum[p]);
      }
    }
    for (int g = 0; g < G; ++g)
      for (int p = 0; p < kParts; ++p) total[g][p].store(out[g] + p * Bytes::kLanes);
  }
};
