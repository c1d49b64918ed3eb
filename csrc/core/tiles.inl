// The walk of scans that count or sum in 16 bits over blocks, and over queries. Included inside a target region and an anonymous namespace,
// after core/scan.inl.
//
// K::sums<G, W>(scan, tile, first plane, last plane, q, sums[G][W]) of queries q .. q + G - 1 over the planes' bytes; K::kQueries together over
// K::kTile blocks at a time, one query over K::kTileAlone, of each of which it is given K::kSides registers of rows side by side, so that W is
// blocks times sides. K::Wanted<G> has the least sums that can enter, of a block for each of G queries;
// K::collect takes the rows that have passed. K::Shared is what all queries need to know of some blocks, K::kShared at most.

constexpr uint32_t kLargestSum = 65535;

// Bytes::kLanes rows of each of some blocks, one after the other.
struct Tile {
  const uint8_t* payload;  // of the first row
  int64_t stride;          // from block to block

  Tile(const Scan& s, int64_t b, int64_t row, int64_t = 0) {
    payload = s.block(b) + s.head * kBlock + row;
    stride = s.stride * kBlock;
  }
  // Byte j of block w's rows.
  [[gnu::always_inline]] const uint8_t* plane(int64_t j, int w) const { return payload + w * stride + j * kBlock; }
  [[gnu::always_inline]] Bytes load(int64_t j, int w) const { return Bytes::load(plane(j, w)); }
};

// The same of codes in memory.
struct StreamedTile : Tile {
  int64_t ahead;  // Walk::ahead

  StreamedTile(const Scan& s, int64_t b, int64_t row, int64_t distance) : Tile(s, b, row), ahead(distance) {
    ask_for_factors(s, s.block(b), ahead);
  }
  [[gnu::always_inline]] Bytes load(int64_t j, int w) const {
    ask_for(plane(j, w) + ahead);
    return Bytes::load(plane(j, w));
  }
};

// H registers of rows of each block, side by side: w is H * block + side.
template <int H>
struct SidesTile : Tile {
  using Tile::Tile;
  [[gnu::always_inline]] const uint8_t* plane(int64_t j, int w) const { return Tile::plane(j, w / H) + w % H * Bytes::kLanes; }
  [[gnu::always_inline]] Bytes load(int64_t j, int w) const { return Bytes::load(plane(j, w)); }
};

template <int H>
struct StreamedSidesTile : StreamedTile {
  using StreamedTile::StreamedTile;
  [[gnu::always_inline]] Bytes load(int64_t j, int w) const {
    if (w % H == 0) ask_for(Tile::plane(j, w / H) + ahead);
    return Bytes::load(Tile::plane(j, w / H) + w % H * Bytes::kLanes);
  }
};

template <int H>
using RowsTile = std::conditional_t<H == 1, Tile, SidesTile<H>>;
template <int H>
using StreamedRowsTile = std::conditional_t<H == 1, StreamedTile, StreamedSidesTile<H>>;

// W whole blocks from b on, for G queries.
template <class K, int G, int W, bool kStreams, class Wanted>
inline void scan_tile(const Scan& s, int64_t q, int64_t b, int64_t ahead, const uint64_t* masks, Collector* collectors, Wanted& wanted) {
  alignas(64) uint16_t numbers[G][W][kBlock];
  uint64_t pass[G][W] = {};
  uint32_t floors[G][W];
  for (int w = 0; w < W; ++w) {
    const uint32_t* floor = wanted.floors(s, b + w);
    for (int g = 0; g < G; ++g) floors[g][w] = floor[g];
  }
  constexpr int H = K::kSides;
  using Plain = RowsTile<H>;
  using First = std::conditional_t<kStreams, StreamedRowsTile<H>, Plain>;
  for (int row = 0; row < kBlock; row += H * Bytes::kLanes) {
    ByteSums sums[G][W * H];
    if (row == 0)
      K::template sums<G, W * H>(s, First(s, b, row, ahead), 0, s.payload, q, sums);
    else
      K::template sums<G, W * H>(s, Plain(s, b, row), 0, s.payload, q, sums);
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W * H; ++w) {
        const int at = row + w % H * Bytes::kLanes;
        uint64_t reached = 0;
        if (floors[g][w / H] <= kLargestSum) reached = sums[g][w].at_least(static_cast<uint16_t>(floors[g][w / H]), numbers[g][w / H] + at);
        pass[g][w / H] |= reached << at;
      }
  }
  for (int g = 0; g < G; ++g)
    for (int w = 0; w < W; ++w)
      if (const uint64_t rows = pass[g][w] & masks[w])
        K::collect(s, q + g, g, collectors[g], wanted, b + w, rows, numbers[g][w]);
}

template <class K, int G, int W, bool kStreams>
inline void scan_tiles(const Scan& s, int64_t q, int64_t b0, int64_t b1, const typename K::Shared* shared, Collector* collectors) {
  typename K::template Wanted<G> wanted;
  wanted.start(s, q, collectors, shared);
  for (Walk walk(s, b0, b1, kStreams); !walk.done(); walk.next()) {
    const int64_t b = walk.b;
    uint64_t masks[W];
    bool whole = b + W <= b1;
    for (int w = 0; whole && w < W; ++w) whole = (masks[w] = rows_of(s, b + w)) != 0;
    if (whole) {
      scan_tile<K, G, W, kStreams>(s, q, b, walk.ahead(), masks, collectors, wanted);
      for (int w = 1; w < W; ++w) walk.next();
    } else {
      masks[0] = rows_of(s, b);
      scan_tile<K, G, 1, kStreams>(s, q, b, walk.ahead(), masks, collectors, wanted);
    }
  }
}

// All queries, K::kQueries at a time, of which the first ones bring the codes from memory.
template <class K>
inline void scan_queries(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool together = q1 - q0 > 1 || !from_memory(s), share = q1 - q0 > K::kQueries;
  const int64_t at_once = share ? K::kShared : b1 - b0;
  for (int64_t begin = b0; begin < b1; begin += at_once) {
    const int64_t end = begin + at_once < b1 ? begin + at_once : b1;
    typename K::Shared shared;
    if (share) shared.start(s, begin, end);
    const typename K::Shared* const known = share ? &shared : nullptr;
    int64_t q = q0;
    const auto scan_next = [&](auto count, auto tile, bool first) {
      constexpr int G = decltype(count)::value, W = decltype(tile)::value;
      if (first)
        scan_tiles<K, G, W, true>(s, q, begin, end, known, collectors + (q - q0));
      else
        scan_tiles<K, G, W, false>(s, q, begin, end, known, collectors + (q - q0));
      q += G;
    };
    while (together && q + K::kQueries <= q1)
      scan_next(std::integral_constant<int, K::kQueries>(), std::integral_constant<int, K::kTile>(), q == q0 && from_memory(s));
    while (q < q1) scan_next(std::integral_constant<int, 1>(), std::integral_constant<int, K::kTileAlone>(), q == q0 && from_memory(s));
  }
}

// For what depends on each query alone: K::Wanted<G>, of which One has the floor.
template <class One, int G>
struct EachWanted {
  One query[G];
  uint32_t floor[G];

  template <class Shared>
  void start(const Scan& s, int64_t q, const Collector* collectors, const Shared*) {
    for (int g = 0; g < G; ++g) query[g].start(s, q + g, collectors[g]);
  }
  const uint32_t* floors(const Scan&, int64_t) {
    for (int g = 0; g < G; ++g) floor[g] = query[g].floor;
    return floor;
  }
};

struct NothingShared {
  void start(const Scan&, int64_t, int64_t) {}
};
