// Batches of queries with AVX-512: the places of a block's entries are found once for all of them, and the entries' upper 8 bits are summed
// as they are, four tables at a time. Included inside a target region and an anonymous namespace, after lut4/lut4.inl.

constexpr int64_t kTogether = 64;     // queries that one block's places serve
constexpr int64_t kLeastBatch = 8;    // fewer do not pay for them
constexpr int64_t kMostPlanes = 256;  // whose places stay near

// A block's nibbles as places in four tables that fill a register: 4 of a row side by side, those of planes j and j + 1, then the next rows'.
// uint8[ceil(planes / 2)][4 registers][64]
inline void find_places(const Scan& s, const uint8_t* block, int64_t ahead, uint8_t* places) {
  const __m512i nibble = _mm512_set1_epi8(15), table = _mm512_set1_epi32(0x30201000);
  ask_for_factors(s, block, ahead);
  const uint8_t* plane = block + s.head * kBlock;
  for (int64_t j = 0; j < s.payload; j += 2, plane += 2 * kBlock, places += 4 * kBlock) {
    ask_for(plane + ahead);
    ask_for(plane + kBlock + ahead);
    const __m512i first = _mm512_loadu_si512(plane), second = j + 1 < s.payload ? _mm512_loadu_si512(plane + kBlock) : _mm512_setzero_si512();
    Bytes x[4] = {{first}, {_mm512_srli_epi16(first, 4)}, {second}, {_mm512_srli_epi16(second, 4)}};
    interleave(x);
    for (int k = 0; k < 4; ++k)
      _mm512_store_si512(places + k * kBlock, _mm512_ternarylogic_epi32(x[k].v, nibble, table, 0xEA));  // (x & nibble) | table
  }
}

// The sums of a block's rows for queries q .. q + G - 1, four registers each. Flat, and every loop unrolled, or they would
// not stay in registers.
template <int G>
[[gnu::always_inline]] inline void sum_entries(const Scan& s, const uint8_t* places, int64_t q, Quads (&sums)[4 * G]) {
  alignas(4) static constexpr int8_t kAll[4] = {1, 1, 1, 1}, kTwo[4] = {1, 1, 0, 0};
  const uint8_t* tables[G];
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
#pragma GCC unroll 16
  for (int i = 0; i < 4 * G; ++i) sums[i] = Quads::zero();
  Four four(kAll);
  for (int64_t j = 0; j < s.payload; j += 2) {
    if (__builtin_expect(j + 1 == s.payload, 0)) four = Four(kTwo);  // there are no third and fourth table
    Bytes x[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) x[k] = Bytes::load(places + 2 * kBlock * j + k * kBlock);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const FourTables entries(tables[g] + 32 * j);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) sums[4 * g + k].add(entries.lookup<0>(x[k]), four);
    }
  }
}

// Of one register of a block's rows, uint32[16]: two sums, for each waits for the one before.
inline void sum_register(const Scan& s, const uint8_t* places, const uint8_t* tables, uint32_t* out) {
  const __m512i one = _mm512_set1_epi8(1), two = _mm512_set1_epi32(0x0101);
  __m512i even = _mm512_setzero_si512(), odd = even;
  int64_t j = 0;
  for (; j + 4 <= s.payload; j += 4, places += 8 * kBlock, tables += 128) {
    even = _mm512_dpbusd_epi32(even, FourTables(tables).lookup<0>(Bytes::load(places)).v, one);
    odd = _mm512_dpbusd_epi32(odd, FourTables(tables + 64).lookup<0>(Bytes::load(places + 4 * kBlock)).v, one);
  }
  for (; j < s.payload; j += 2, places += 4 * kBlock, tables += 64)
    even = _mm512_dpbusd_epi32(even, FourTables(tables).lookup<0>(Bytes::load(places)).v, j + 1 < s.payload ? one : two);
  _mm512_store_si512(out, _mm512_add_epi32(even, odd));
}

[[gnu::always_inline]] inline bool any_at_least(Quads a, Quads b, Quads c, Quads d, uint32_t floor) {
  const __m512i bar = _mm512_set1_epi32(static_cast<int>(floor));
  const __m512i most = _mm512_max_epu32(_mm512_max_epu32(a.v, b.v), _mm512_max_epu32(c.v, d.v));
  return _mm512_cmpge_epu32_mask(most, bar) != 0;
}

// What the sums say of scores, where `coarse` says it of averages (core/screen.inl).
inline Screen of_sums(const Scan& s, const Screen& averages) {
  Screen screen = averages;
  const double step = screen.fine.step;
  screen.coarse = {screen.fine.base, step * kFiner, screen.fine.low, screen.fine.high + step * static_cast<double>((kFiner - 1) * s.m)};
  screen.coarse.per_step = 1 / screen.coarse.step;
  screen.sure = screen.coarse.high;
  return screen;
}

template <class K>
struct Batch {
  static constexpr int kGroup = 4;

  alignas(64) uint8_t places[kMostPlanes * 2 * kBlock];
  typename K::template Wanted<kGroup> fours[kTogether / kGroup];
  typename K::template Wanted<1> ones[kGroup];
  typename K::Shared shared;

  Batch() {}

  void scan(const Scan& s, int64_t q, int64_t count, int64_t b0, int64_t b1, Collector* collectors) {
    const int64_t whole = count / kGroup * kGroup;
    for (int64_t g = 0; g < whole; g += kGroup) fours[g / kGroup].start(s, q + g, collectors + g, &shared);
    for (int64_t g = whole; g < count; ++g) ones[g - whole].start(s, q + g, collectors + g, &shared);
    for (Walk walk(s, b0, b1, true); !walk.done(); walk.next()) {
      const int64_t b = walk.b;
      const uint64_t mask = rows_of(s, b);
      shared.start(s, b, b + 1);
      find_places(s, s.block(b), walk.ahead(), places);
      for (int64_t g = 0; g < whole; g += kGroup) score<kGroup>(s, q + g, b, mask, fours[g / kGroup], collectors + g);
      for (int64_t g = whole; g < count; ++g) score<1>(s, q + g, b, mask, ones[g - whole], collectors + g);
    }
  }

 private:
  template <int G, class Wanted>
  [[gnu::always_inline]] inline void score(const Scan& s, int64_t q, int64_t b, uint64_t mask, Wanted& wanted, Collector* collectors) {
    Quads sums[4 * G];
    sum_entries<G>(s, places, q, sums);
    const uint32_t* const floors = wanted.floors(s, b);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
      if (__builtin_expect(any_at_least(sums[4 * g], sums[4 * g + 1], sums[4 * g + 2], sums[4 * g + 3], floors[g]), 0)) {
        alignas(64) uint32_t upper[kBlock];
        const Quads some[4] = {sums[4 * g], sums[4 * g + 1], sums[4 * g + 2], sums[4 * g + 3]};
        store_in_order(some, upper);
        collect(s, q + g, g, b, mask & at_least(upper, floors[g]), wanted, collectors[g], upper);
      }
  }

  template <class Wanted>
  [[gnu::noinline]] void collect(const Scan& s, int64_t q, int g, int64_t b, uint64_t pass, Wanted& wanted, Collector& collector,
                                 const uint32_t* upper) {
    if (!pass) return;
    const uint8_t* const tables = s.screens[q].numbers + fine_offset<16>(s);
    K::collect_by(s, q, g, collector, wanted, b, pass, upper, [&](const Scan&, int64_t, int64_t, uint64_t rows, double* fine) {
      for (int k = 0; k < 4; ++k) {
        uint64_t mine = rows & uint64_t{0x000F000F000F000F} << 4 * k;  // of register k
        if (!mine) continue;
        alignas(64) uint32_t lower[Quads::kLanes];
        sum_register(s, places + k * kBlock, tables, lower);
        for (; mine; mine &= mine - 1) {
          const int r = __builtin_ctzll(mine);
          fine[r] = static_cast<double>(static_cast<uint64_t>(upper[r]) * kFiner + lower[r / 16 * 4 + r % 4]);
        }
      }
    });
  }
};

template <class K>
inline void scan_batch(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  Batch<K> batch;
  Screen screens[kTogether];
  Scan some = s;
  for (int64_t q = q0; q < q1; q += kTogether) {
    const int64_t count = q1 - q < kTogether ? q1 - q : kTogether;
    for (int64_t g = 0; g < count; ++g) screens[g] = of_sums(s, s.screens[q + g]);
    some.screens = screens - q;  // by query number
    batch.scan(some, q, count, b0, b1, collectors + (q - q0));
  }
}

void scan_lut4_batches(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  if (q1 - q0 < kLeastBatch || s.payload > kMostPlanes) return scan_lut4(s, q0, q1, b0, b1, collectors);
  if (s.plain()) return scan_batch<PlainTables<NibbleTables>>(s, q0, q1, b0, b1, collectors);
  scan_batch<ScaledTables<NibbleTables>>(s, q0, q1, b0, b1, collectors);
}
