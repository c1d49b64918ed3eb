// Codes unpacked to whole numbers of 8 bits, four dimensions of a row in 32 bits, and multiplied with those of the queries. Included
// inside a target region and an anonymous namespace, after the region's vectors, dot/numbers.inl, the planes' unpacking
// (pack_codes/planes.inl) and the region's LevelTable<bits>, which looks up Bytes in 2^bits bytes.

constexpr int64_t kVectors = kUnit / 4;  // of a unit, for Bytes::kLanes rows: 4 Bytes each
constexpr int64_t kChunks = kBlock / Bytes::kLanes;

struct AsTheyAre {
  explicit AsTheyAre(const uint8_t*) {}
  Bytes lookup(Bytes numbers) const { return numbers; }
};

// The numbers of byte x[k], W bits each, from number kNumber on: vector 8 / W * e + number of the unit.
template <int W, bool kFirst, bool kLast, int kNumber, class Table>
[[gnu::always_inline]] inline void split_bytes(const Bytes (&x)[4], const Table& table, uint8_t* tile) {
  if constexpr (kNumber < 8 / W) {
    constexpr int shift = W == 4 ? 4 * kNumber : 8 - W * (kNumber + 1);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      uint8_t* at = tile + (kNumber * 4 + k) * Bytes::kLanes;
      Bytes y = x[k].template field<shift, W>();
      if (!kFirst) y = y | Bytes::load(at).template up<W>();
      if (kLast) y = multiplicand(table.lookup(y));
      y.store(at);
    }
    split_bytes<W, kFirst, kLast, kNumber + 1>(x, table, tile);
  }
}

// One plane's share of a unit, written to the tile or appended to what is there. plane: its bytes from the unit's first on, `left` of
// them. Byte e of group i holds dimensions 8 i + 8 / W e and following.
template <int W, bool kFirst, bool kLast, class Table>
[[gnu::always_inline]] inline void unpack_unit(const uint8_t* plane, int64_t left, const Table& table, uint8_t* tile) {
  const bool all = left >= 4 * W;
#pragma GCC unroll 8
  for (int e = 0; e < W; ++e) {
    Bytes x[4];
    if (__builtin_expect(all, 1)) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) x[i] = Bytes::load(plane + (i * W + e) * kBlock);
    } else {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) x[i] = i * W + e < left ? Bytes::load(plane + (i * W + e) * kBlock) : Bytes::zero();
    }
    interleave(x);
    split_bytes<W, kFirst, kLast, 0>(x, table, tile + 8 / W * e * 4 * Bytes::kLanes);
  }
}

// Units [u0, u1) of a block, as tile [chunk of rows][unit][vector][4][lanes].
template <int kBits, class Table>
inline void unpack_units(const Scan& s, const uint8_t* payload, int64_t u0, int64_t u1, uint8_t* tile) {
  constexpr int first = kPlanes[kBits][0], second = kPlanes[kBits][1], third = kPlanes[kBits][2];
  const Table table(s.levels->number);
  const int64_t sizes[3] = {plane_size(s.m, first), plane_size(s.m, second), plane_size(s.m, third)};
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const uint8_t* rows = payload + chunk * Bytes::kLanes;
    for (int64_t u = u0; u < u1; ++u, tile += kVectors * 4 * Bytes::kLanes) {
      unpack_unit<first, true, second == 0>(rows + 4 * first * u * kBlock, sizes[0] - 4 * first * u, table, tile);
      if constexpr (second != 0)
        unpack_unit<second, false, third == 0>(rows + (sizes[0] + 4 * second * u) * kBlock, sizes[1] - 4 * second * u, table, tile);
      if constexpr (third != 0)
        unpack_unit<third, false, true>(rows + (sizes[0] + sizes[1] + 4 * third * u) * kBlock, sizes[2] - 4 * third * u, table, tile);
    }
  }
}

// A part of a query, and where its products are added.
struct Part {
  const int8_t* numbers;
  uint32_t* sums;   // uint32[64]
  uint32_t start;   // they begin with it
};

// Adds the products of units [u0, u0 + units) with G queries to their sums: of the rows as the registers of the tile have them. Bit g: one of
// query g's sums reaches floors[g]. Not inlined: one copy of each serves all widths. Unrolled, so that the sums stay in registers.
template <int G>
[[gnu::noinline]] uint32_t multiply(const uint8_t* tile, int64_t units, int64_t u0, const Part* parts, const uint32_t* floors) {
  const int64_t vectors = units * kVectors;
  uint32_t reached = 0;
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const uint8_t* codes = tile + chunk * vectors * 4 * Bytes::kLanes;
    const int64_t at = chunk * Bytes::kLanes;
    Quads total[G * 4];  // not an array of arrays: that would not stay in registers
    const int8_t* numbers[G];
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      numbers[g] = parts[g].numbers + u0 * kUnit;
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) total[4 * g + k] = u0 ? Quads::load(parts[g].sums + at + k * Quads::kLanes) : Quads::set1(parts[g].start);
    }
    for (int64_t v = 0; v < vectors; ++v, codes += 4 * Bytes::kLanes) {
      Bytes x[4];
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) x[k] = Bytes::load(codes + k * Bytes::kLanes);
#pragma GCC unroll 8
      for (int g = 0; g < G; ++g) {
        const Four four(numbers[g] + 4 * v);
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) total[4 * g + k].add(x[k], four);
      }
    }
#pragma GCC unroll 8
    for (int g = 0; g < G; ++g) {
      const Quads four[4] = {total[4 * g], total[4 * g + 1], total[4 * g + 2], total[4 * g + 3]};
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) four[k].store(parts[g].sums + at + k * Quads::kLanes);
      reached |= static_cast<uint32_t>(any_at_least(four, floors[g])) << g;
    }
  }
  return reached;
}

// Such sums, in the order of the rows.
inline void put_in_order(uint32_t* sums) {
  for (int64_t chunk = 0; chunk < kChunks; ++chunk, sums += Bytes::kLanes) {
    Quads x[4];
    for (int k = 0; k < 4; ++k) x[k] = Quads::load(sums + k * Quads::kLanes);
    store_in_order(x, sums);
  }
}

// The numbers of byte x[k], from number kNumber on, multiplied with those of the query as they come.
template <int W, int kNumber, class Table>
[[gnu::always_inline]] inline void multiply_bytes(const Bytes (&x)[4], const Table& table, const int8_t* numbers, Quads (&total)[4]) {
  if constexpr (kNumber < 8 / W) {
    constexpr int shift = W == 4 ? 4 * kNumber : 8 - W * (kNumber + 1);
    const Four four(numbers + 4 * kNumber);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) total[k].add(multiplicand(table.lookup(x[k].template field<shift, W>())), four);
    multiply_bytes<W, kNumber + 1>(x, table, numbers, total);
  }
}

// For one query a tile would be written and read for nothing: codes of one plane, multiplied from registers. part.numbers and sums are those
// of whole blocks.
template <int W, bool kStreams, class Table>
[[gnu::noinline]] void multiply_packed(const Scan& s, const uint8_t* block, int64_t ahead, const Part& part) {
  const Table table(s.levels->number);
  const int64_t size = plane_size(s.m, W);
  // several passes over a block share out the lines of the next
  if (kChunks > 1 && ahead == kAhead) ahead = s.stride * kBlock;
  if (kStreams) ask_for_factors(s, block, ahead);
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    Quads total[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) total[k] = Quads::set1(part.start);
    const uint8_t* plane = block + s.head * kBlock + chunk * Bytes::kLanes;
    const int8_t* numbers = part.numbers;
    for (int64_t j = 0; j < size; j += 4 * W, plane += 4 * W * kBlock)
#pragma GCC unroll 8
      for (int e = 0; e < W; ++e, numbers += 8 / W * 4) {
        Bytes x[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const uint8_t* at = plane + (i * W + e) * kBlock;
          if (kStreams && i % kChunks == chunk) ask_for(at + ahead);
          x[i] = j + i * W + e < size ? Bytes::load(at) : Bytes::zero();
        }
        interleave(x);
        multiply_bytes<W, 0>(x, table, numbers, total);
      }
    store_in_order(total, part.sums + chunk * Bytes::kLanes);
  }
}
