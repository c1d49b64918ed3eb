// The walk of scans that count or sum in 16 bits over blocks, and over queries. Included inside a target region and an anonymous namespace,
// after core/scan.inl.
//
// K::sums<G, W>(scan, tile, first plane, last plane, q, sums[G][W]) of queries q .. q + G - 1 over the planes' bytes; K::kQueries together over
// K::kTile blocks at a time, one query over K::kTileAlone. K::floors gives the least sum that can enter, for each query and a block, from
// K::Wanted, which remembers what does not change with the block; K::collect takes the rows that have passed.

constexpr uint32_t kLargestSum = 65535;

// Bytes::kLanes rows of each of some blocks, one after the other.
struct Tile {
  const uint8_t* payload;  // of the first row
  int64_t stride;          // from block to block

  Tile(const Scan& s, int64_t b, int64_t row) {
    payload = s.block(b) + s.head * kBlock + row;
    stride = s.code_size * kBlock;
  }
  // Byte j of block w's rows.
  [[gnu::always_inline]] const uint8_t* plane(int64_t j, int w) const { return payload + w * stride + j * kBlock; }
  [[gnu::always_inline]] Bytes load(int64_t j, int w) const { return Bytes::load(plane(j, w)); }
};

// W whole blocks from b on, for G queries.
template <class K, int G, int W>
inline void scan_tile(const Scan& s, int64_t q, int64_t b, const uint64_t* masks, Collector* collectors, typename K::Wanted* wanted) {
  alignas(64) uint16_t numbers[G][W][kBlock];
  uint64_t pass[G][W];
  uint32_t floors[G][W];
  for (int w = 0; w < W; ++w) K::floors(s, q, b + w, collectors, wanted, G, &floors[0][w], W);
  for (int row = 0; row < kBlock; row += Bytes::kLanes) {
    ByteSums sums[G][W];
    K::template sums<G, W>(s, Tile(s, b, row), 0, s.payload, q, sums);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        uint64_t reached = 0;
        if (floors[g][w] <= kLargestSum) reached = sums[g][w].at_least(static_cast<uint16_t>(floors[g][w]), numbers[g][w] + row);
        pass[g][w] = row ? pass[g][w] | reached << row : reached;
      }
  }
  for (int g = 0; g < G; ++g)
    for (int w = 0; w < W; ++w)
      if (const uint64_t rows = pass[g][w] & masks[w])
        K::collect(s, q + g, collectors[g], wanted[g], b + w, rows, numbers[g][w]);
}

template <class K, int G, int W>
inline void scan_tiles(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  typename K::Wanted wanted[G];
  for (int g = 0; g < G; ++g) wanted[g].start(s, q + g, collectors[g]);
  for (int64_t b = next_block(s, b0, b1); b < b1;) {
    uint64_t masks[W];
    bool whole = b + W <= b1;
    for (int w = 0; whole && w < W; ++w) whole = (masks[w] = rows_of(s, b + w)) != 0;
    const int64_t next = next_block(s, b + (whole ? W : 1), b1);
    if (whole) {
      scan_tile<K, G, W>(s, q, b, masks, collectors, wanted);
    } else {
      masks[0] = rows_of(s, b);
      scan_tile<K, G, 1>(s, q, b, masks, collectors, wanted);
    }
    b = next;
  }
}

constexpr int64_t kCached = 16 << 20;  // bytes of code: more come from memory, which one stream gets the most of

// All queries, K::kQueries at a time.
template <class K>
inline void scan_queries(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool together = q1 - q0 > 1 || s.n * s.code_size <= kCached;
  int64_t q = q0;
  for (; together && q + K::kQueries <= q1; q += K::kQueries) scan_tiles<K, K::kQueries, K::kTile>(s, q, b0, b1, collectors + (q - q0));
  for (; q < q1; ++q) scan_tiles<K, 1, K::kTileAlone>(s, q, b0, b1, collectors + (q - q0));
}
