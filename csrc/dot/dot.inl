// The scan: products for whole blocks (dot/products.inl), bounds from them, and exact sums of the rows that pass (dot/exact.inl), for codes
// of any kind that unpack to numbers of 8 bits. Included after these, core/bounds.inl and dot/numbers.inl.

constexpr int64_t kTileUnits = 64;     // of which a block's tile is kept, 128 KB
constexpr int64_t kPieceUnits = 12;    // unpacked and multiplied at a time: 24 KB, which stay in the nearest cache
constexpr int64_t kFewTileUnits = 4;   // for few queries
constexpr int64_t kFewQueries = 4;
constexpr int64_t kManyQueries = 16;   // so many are worth it to know every row's distance from the middle level
constexpr int64_t kTogether = 128;     // queries that an unpacked block serves

// The numbers of an unpacked row and their squares, summed: from these |levels|^2 of a row.
struct OwnSums {
  alignas(64) uint32_t negative[kBlock], squares[kBlock];  // sums of minus the numbers, modulo 2^32, and of their squares
  alignas(64) double least[kBlock], most[kBlock];          // between what |levels|^2 of each row is
  alignas(4) int8_t inside[kUnit], last[kUnit];            // -1 for dimensions below m: of any unit but the last, of the last

  explicit OwnSums(int64_t m) {
    const int64_t left = m - (m - 1) / kUnit * kUnit;
    for (int64_t t = 0; t < kUnit; ++t) {
      inside[t] = -1;
      last[t % 8 * 4 + t / 8] = t < left ? -1 : 0;
    }
  }

  void start() {
    for (int r = 0; r < kBlock; ++r) negative[r] = squares[r] = 0;
  }

  // Units [u0, u0 + units) of `all`.
  [[gnu::noinline]] void add(const Scan& s, const uint8_t* tile, int64_t units, int64_t u0, int64_t all) {
    const bool easy = !s.trellis && s.levels->most <= 127;
    const Four everywhere(inside);
    for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
      Quads sum[4], square[4];
      for (int k = 0; k < 4; ++k) sum[k] = square[k] = Quads::zero();
      int64_t u = u0;
      for (int64_t v = 0, end = easy ? (u0 + units < all ? units : units - 1) * kVectors : 0; v < end; ++v, tile += 4 * Bytes::kLanes)
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) {
          const Bytes x = Bytes::load(tile + k * Bytes::kLanes);
          sum[k].add(x, everywhere);
          square[k].add_small_squares(x);
        }
      if (easy) u = u0 + units < all ? u0 + units : all - 1;
      for (; u < u0 + units; ++u) {
        const int8_t* mask = s.trellis ? s.trellis->inside + u * kUnit : u + 1 < all ? inside : last;
        for (int64_t v = 0; v < kVectors; ++v, tile += 4 * Bytes::kLanes) {
          const Four four(mask + 4 * v);
#pragma GCC unroll 4
          for (int k = 0; k < 4; ++k) {
            const Bytes x = four & Bytes::load(tile + k * Bytes::kLanes);
            sum[k].add(x, four);
            square[k].add_squares(x);
          }
        }
      }
      alignas(64) uint32_t sums[2][Bytes::kLanes];
      store_in_order(sum, sums[0]);
      store_in_order(square, sums[1]);
      for (int r = 0; r < Bytes::kLanes; ++r) {
        negative[chunk * Bytes::kLanes + r] += sums[0][r];
        squares[chunk * Bytes::kLanes + r] += sums[1][r];
      }
    }
  }

  // The largest distance of a row's numbers from the middle one: four times its square is a whole number.
  double largest_distance(const Scan& s) const {
    const int64_t most = s.levels->most - 2 * kOrigin, middle = s.m * most * most;
    int64_t largest = 0;
    for (int r = 0; r < kBlock; ++r) {
      const int64_t square = 4 * static_cast<int64_t>(squares[r]) + 4 * most * static_cast<int32_t>(negative[r]) + middle;
      largest = square > largest ? square : largest;
    }
    return 0.5 * __builtin_sqrt(static_cast<double>(largest)) * (1 + 0x1p-40);
  }

  // level = base + step * (number + kOrigin) + error
  void finish(const Scan& s) {
    const Levels& levels = *s.levels;
    const double m = static_cast<double>(s.m), step = levels.step, base = levels.base + kOrigin * step, error = levels.error;
    for (int r = 0; r < kBlock; ++r) {
      const double number = -static_cast<double>(static_cast<int32_t>(negative[r])), square = squares[r];
      const double own = m * base * base + 2 * base * step * number + step * step * square;
      const double cancelled = 0x1p-48 * m * (base * base + step * step * 65536);  // where levels are far from zero
      const double at_most = (own > 0 ? own : 0) + cancelled;
      const double slack = cancelled + (error > 0 ? error * (2 * __builtin_sqrt(m * at_most) + m * error) : 0);
      least[r] = own > slack ? own - slack : 0;
      most[r] = at_most + slack;
    }
  }
};

// Codes::unpack is as unpack_units, Codes::Exact the exact sums; where Codes::kFromRegisters, Codes::multiply serves one query.
template <class Codes>
struct Numbers {
  using Exact = typename Codes::Exact;

  alignas(64) uint8_t tile[kTileUnits * kUnit * kBlock];
  alignas(64) uint32_t sums[kTogether][kBlock];
  Floors<static_cast<int>(kTogether)> floors;
  OwnSums own;
  bool whole;        // the tile holds all of the block
  int64_t at_once;   // units of it that are unpacked and multiplied together: a piece

  explicit Numbers(const Scan& s) : own(s.m) {}

  void scan(const Scan& s, int64_t q, int count, int64_t b0, int64_t b1, Collector* collectors) {
    Part parts[kTogether];
    const int64_t units = units_of(s);
    at_once = count <= kFewQueries ? kFewTileUnits : kPieceUnits;
    const bool plain = s.plain(), measured = count >= kManyQueries && s.m * 255 * 255 < int64_t{1} << 32;
    const bool packed = Codes::kFromRegisters && count == 1 && !s.distances;
    whole = units <= (count <= kFewQueries ? kFewTileUnits : kTileUnits) && !packed;
    const bool shared = units <= at_once;  // then sums are needed no longer than until they are compared: fewer bytes to keep near
    for (int g = 0; g < count; ++g) {
      const Screen& screen = s.screens[q + g];
      parts[g] = {reinterpret_cast<const int8_t*>(screen.numbers), sums[shared ? g % kQueriesAtOnce : g], screen.start};
    }
    floors.start(s, q, count, collectors);
    for (Walk walk(s, b0, b1, from_memory(s)); !walk.done(); walk.next()) {
      const int64_t b = walk.b;
      const uint64_t mask = rows_of(s, b);
      const uint8_t* block = s.block(b);
      double distance = 1e30;
      if constexpr (Codes::kFromRegisters) {
        if (packed) {
          floors.compute(plain ? FactorRange() : range_of_block(s, block), distance, 1);
          Codes::multiply(s, block, walk.ahead(), parts[0]);
          collect(s, q, 0, b, mask, distance, parts[0].sums, collectors);
          continue;
        }
      }
      if (s.distances || measured) own.start();
      for (int64_t u = 0; u < units; u += at_once) {
        const int64_t end = u + at_once < units ? u + at_once : units;
        uint8_t* const piece = tile + (whole ? u * kUnit * kBlock : 0);
        Codes::unpack(s, block, u, end, piece);
        if (s.distances || measured) own.add(s, piece, end - u, u, units);
        const bool last = end == units;
        if (last) {
          if (measured) distance = own.largest_distance(s);
          if (s.distances) own.finish(s);
          floors.compute(plain ? FactorRange() : range_of_block(s, block), distance, count);
        }
        // a later block's share of these units comes from memory meanwhile
        const uint8_t* next = block + walk.whole_blocks_ahead() + u * s.code_size / units * kBlock;
        const uint8_t* next_end = block + walk.whole_blocks_ahead() + end * s.code_size / units * kBlock;
        const int64_t share = (next_end - next) / kBlock * kQueriesAtOnce / count + 1;
        const auto fetch = [&] {
          for (int64_t line = 0; line < share && next < next_end; ++line, next += kBlock) __builtin_prefetch(next, 0, 2);
        };
        for (int p = 0; p < count;) {
          fetch();
          int some = 0;
          uint32_t reached = multiply_some<kQueriesAtOnce>(piece, end - u, u, parts + p, floors.floor + p, count - p, some);
          if (last && s.labels) reached = ~(~0u << some);
          for (; last && reached; reached &= reached - 1) {
            const int g = p + __builtin_ctz(reached);
            put_in_order(parts[g].sums);
            if (s.labels) add_labels(s, q + g, block, parts[g].sums);
            collect(s, q, g, b, mask, distance, parts[g].sums, collectors);
          }
          p += some;
        }
      }
    }
  }

 private:
  // multiply() for as many of `left` queries as it has a form for, G at most.
  template <int G>
  [[gnu::always_inline]] static uint32_t multiply_some(const uint8_t* piece, int64_t units, int64_t u0, const Part* parts,
                                                       const uint32_t* floor, int left, int& some) {
    if constexpr (G > 1) {
      if (left < G) return multiply_some<(G > 4 ? 4 : G / 2)>(piece, units, u0, parts, floor, left, some);
    }
    some = G;
    return multiply<G>(piece, units, u0, parts, floor);
  }

  // What labels add to the sums of query q.
  [[gnu::noinline]] static void add_labels(const Scan& s, int64_t q, const uint8_t* block, uint32_t* sum) {
    const uint32_t* table = reinterpret_cast<const uint32_t*>(s.screens[q].numbers + 2 * part_bytes(s));
    const uint8_t* label = block + s.head * kBlock;
    for (int64_t v = 0; v < s.labels; ++v, table += 256, label += kBlock)
      for (int r = 0; r < kBlock; ++r) sum[r] += table[label[r]];
  }

  FactorRange range_of_block(const Scan& s, const uint8_t* block) const {
    const BlockFactors factors = factors_of_block(s, block);
    return FactorRange(factors.scale, factors.bias, 0);
  }

  BlockFactors factors_of_block(const Scan& s, const uint8_t* block) const {
    return s.distances ? BlockFactors(s, block, own.least, own.most) : BlockFactors(s, block);
  }

  // Of query q + g, the rows whose sums with the first part reach the floor.
  [[gnu::always_inline]] void collect(const Scan& s, int64_t q, int g, int64_t b, uint64_t mask, double distance, const uint32_t* sum,
                                      Collector* collectors) {
    const uint64_t pass = mask & at_least(sum, floors.floor[g]);
    if (pass) collect_rows(s, q + g, g, b, pass, distance, sum, collectors[g]);
  }

  [[gnu::noinline]] void collect_rows(const Scan& s, int64_t q, int g, int64_t b, uint64_t pass, double distance, const uint32_t* sum,
                                      Collector& collector) {
    const uint8_t* block = s.block(b);
    Line line = s.screens[q].coarse;
    const double error = s.screens[q].sure + s.screens[q].spread * distance;
    if (error < line.high) line.low = -(line.high = error);
    if (__builtin_popcountll(pass) <= kFewRows && !s.distances) {
      for (; pass; pass &= pass - 1) {
        const int r = __builtin_ctzll(pass);
        collect_row(s, q, line, RowFactors(s, block, r), b, r, sum[r], collector);
      }
      make_room<Exact>(s, q, collector);
    } else {
      const BlockFactors factors = factors_of_block(s, block);
      if (!s.plain()) pass &= reach(s, s.screens[q], line, factors, collector.bar(), sum, s.constant[q]);
      if (__builtin_popcountll(pass) > kFewRows) {
        alignas(64) double fine[kBlock];
        refine_block(s, q, b, sum, fine);
        collect_scaled<Exact>(s, q, collector, factors, b, pass, fine);
      } else {
        for (; pass; pass &= pass - 1) {
          const int r = __builtin_ctzll(pass);
          collect_row(s, q, line, RowFactors(factors, r), b, r, sum[r], collector);
        }
        make_room<Exact>(s, q, collector);
      }
    }
    floors.raise(s, q, g, collector.bar());
  }

  // Collects row r by its exact score, while its bytes are near, if its sum with the first part and then with both may enter.
  void collect_row(const Scan& s, int64_t q, const Line& line, const RowFactors& factors, int64_t b, int r, uint32_t coarse, Collector& collector) {
    const Screen& screen = s.screens[q];
    if (!s.plain() && bounds_of(s, screen, line, factors, coarse, s.constant[q]).high < collector.bar()) return;
    alignas(64) uint8_t numbers[kTileUnits * kUnit];
    if (whole) {
      gather_row(units_of(s), r, numbers);
      const double fine = static_cast<double>(kRest) * coarse + products_with_rest(s, q, numbers);
      if (bounds_of(s, screen, screen.fine, factors, fine, s.constant[q]).high < collector.bar()) return;
    }
    const float sum = whole && s.levels->told_apart ? exact_sum(s, q, b, r, numbers) : Exact::exact_row(s, q, b * kBlock + r);
    float score = finish(s, s.block(b), r, sum, s.constant[q]);
    if (score != score) score = -__builtin_inff();  // as TopK::push has it
    collector.reservoir.add(b * kBlock + r, score, score);
  }

  // Row r's numbers in the tile's order.
  void gather_row(int64_t units, int r, uint8_t* numbers) const {
    constexpr int kQuads = Bytes::kLanes < 16 ? Bytes::kLanes / 4 : 4;  // rows side by side in a register
    const int k = r / kQuads % 4, lane = Bytes::kLanes < 16 ? 0 : r % Bytes::kLanes / 16;
    const int64_t in_chunk = k * Bytes::kLanes + lane * 16 + r % kQuads * 4;
    for (int64_t u = 0; u < units; u += at_once) {
      const int64_t vectors = (u + at_once < units ? at_once : units - u) * kVectors;
      const uint8_t* at = tile + u * kUnit * kBlock + r / Bytes::kLanes * vectors * 4 * Bytes::kLanes + in_chunk;
#pragma GCC unroll 8
      for (int64_t v = 0; v < vectors; ++v) __builtin_memcpy(numbers + 4 * v, at + v * 4 * Bytes::kLanes, 4);
      numbers += 4 * vectors;
    }
  }

  static uint32_t products_with_rest(const Scan& s, int64_t q, const uint8_t* numbers) {
    const int8_t* rest = reinterpret_cast<const int8_t*>(s.screens[q].numbers) + part_bytes(s);
    Quads total = Quads::zero();
    int64_t i = 0;
    for (; i + Bytes::kLanes <= part_bytes(s); i += Bytes::kLanes) total.add(Bytes::load(numbers + i), Four::load(rest + i));
    if (i < part_bytes(s)) {  // a unit, half of the widest register
      alignas(64) uint8_t last[Bytes::kLanes] = {};
      alignas(64) int8_t last_rest[Bytes::kLanes] = {};
      __builtin_memcpy(last, numbers + i, static_cast<size_t>(part_bytes(s) - i));
      __builtin_memcpy(last_rest, rest + i, static_cast<size_t>(part_bytes(s) - i));
      total.add(Bytes::load(last), Four::load(last_rest));
    }
    alignas(64) uint32_t sums[Quads::kLanes];
    total.store(sums);
    uint32_t sum = s.screens[q].rest_start;
    for (const uint32_t x : sums) sum += x;
    return sum;
  }

  static float exact_sum(const Scan& s, int64_t q, int64_t b, int r, const uint8_t* all) {
    RowSum sum(s, q, s.block(b), r);
    const Levels& levels = *s.levels;
    const float* few = levels.count <= 16 && levels.most < 128 ? levels.level : nullptr;
    for (int64_t t = 0; t < s.m; t += kUnit) {
      alignas(64) float x[kUnit];
      if (s.trellis)
        for (int64_t i = 0; i < kUnit && t + i < s.m; ++i) x[i] = levels.by_number[static_cast<uint8_t>(all[s.trellis->place_of[t + i]] + kOrigin)];
      else
        levels_of_unit(levels.by_number, few, levels.label, all + t, x);
      for (int64_t i = 0; i < kUnit && t + i < s.m; i += 16) sum.add(x + i, s.m - t - i < 16 ? s.m - t - i : 16);
    }
    return with_labels(s, q, s.block(b), r, sum.sum());
  }

  // The numbers of block b with both parts of query q, from those with the first.
  [[gnu::noinline]] void refine_block(const Scan& s, int64_t q, int64_t b, const uint32_t* coarse, double* fine) {
    alignas(64) uint32_t rest[kBlock];
    const Part part{reinterpret_cast<const int8_t*>(s.screens[q].numbers) + part_bytes(s), rest, s.screens[q].rest_start};
    const int64_t units = units_of(s), step = whole ? at_once : kFewTileUnits;
    alignas(64) uint8_t some[kFewTileUnits * kUnit * kBlock];  // where the tile still serves the queries behind this one
    for (int64_t u = 0; u < units; u += step) {
      const int64_t end = u + step < units ? u + step : units;
      if (!whole) Codes::unpack(s, s.block(b), u, end, some);
      multiply<1>(whole ? tile + u * kUnit * kBlock : some, end - u, u, &part, &part.start);
    }
    put_in_order(rest);
    for (int r = 0; r < kBlock; ++r) fine[r] = static_cast<double>(kRest) * coarse[r] + rest[r];
  }
};
