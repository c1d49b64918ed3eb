// The inside of every scan, once: filter, factors, screening, exact sums of the survivors, top k. Included inside a target region and
// an anonymous namespace, after the region's vectors (vec_*.inl), so that it is compiled for each instruction set.

inline uint64_t rows_of(const Scan& s, int64_t b) {
  const int64_t left = s.n - b * kBlock;
  const uint64_t all = left >= kBlock ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
  return s.allow ? all & s.allow[b] : all;
}

inline float factor_of(const Factor& f, const uint8_t* block, int64_t row) {
  const uint8_t* p = block + f.offset * kBlock + row;
  switch (f.kind) {
    case Factor::f2:
      return half_to_float(static_cast<uint16_t>(p[0] | p[kBlock] << 8)) * f.value;
    case Factor::f4: {
      const uint32_t bits = p[0] | p[kBlock] << 8 | p[2 * kBlock] << 16 | static_cast<uint32_t>(p[3 * kBlock]) << 24;
      float out;
      __builtin_memcpy(&out, &bits, 4);
      return out * f.value;
    }
    case Factor::u1:
      return f.table[p[0]];
    case Factor::u2: {  // vecpress/ops/factors.py
      const uint32_t bits = static_cast<uint32_t>(p[0] | p[kBlock] << 8) << 13;
      float out;
      __builtin_memcpy(&out, &bits, 4);
      return out * 0x1p96f * f.value;
    }
    default:
      return f.value;
  }
}

// The three roundings of vecpress/ops/scan.py.
inline float finish(const Scan& s, const uint8_t* block, int64_t row, float sum, float constant) {
  float score = sum * factor_of(s.scale, block, row);
  if (s.bias.kind != Factor::none) score = score + factor_of(s.bias, block, row);
  return score + constant;
}

inline void offer(const Scan& s, TopK& top, int64_t row, float score) { top.push(score, s.ids ? s.ids[row] : row); }

// Offers the rows of `mask` whose scores can enter. scores: float[64] of block b.
inline void offer_block(const Scan& s, TopK& top, int64_t b, uint64_t mask, const float* scores) {
  if (top.has_bar) {
    uint64_t pass = 0;
    for (int r = 0; r < kBlock; ++r) pass |= static_cast<uint64_t>(!(scores[r] < top.bar)) << r;
    mask &= pass;
  }
  for (; mask; mask &= mask - 1) {
    const int r = __builtin_ctzll(mask);
    offer(s, top, b * kBlock + r, scores[r]);
  }
}

// Scores of a block from its sums, float[64] to float[64].
inline void finish_block(const Scan& s, const uint8_t* block, const float* sums, float constant, float* scores) {
  if (s.plain()) {
    for (int r = 0; r < kBlock; ++r) scores[r] = sums[r] + constant;
  } else {
    for (int r = 0; r < kBlock; ++r) scores[r] = finish(s, block, r, sums[r], constant);
  }
}

// Kernels that compute each row's exact sum. K::kQueries: queries at a time; K::sums<G>(scan, payload, q, float[G][64]).
template <class K, int G>
inline void scan_exact_group(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  alignas(64) float sums[G][kBlock], scores[kBlock];
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    const uint8_t* block = s.block(b);
    K::template sums<G>(s, block + s.head * kBlock, q, sums);
    for (int g = 0; g < G; ++g) {
      finish_block(s, block, sums[g], s.constant[q + g], scores);
      offer_block(s, collectors[g].top, b, mask, scores);
    }
  }
}

template <class K>
inline void scan_exact(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  int64_t q = q0;
  for (; q + K::kQueries <= q1; q += K::kQueries) scan_exact_group<K, K::kQueries>(s, q, b0, b1, collectors + (q - q0));
  for (; q < q1; ++q) scan_exact_group<K, 1>(s, q, b0, b1, collectors + (q - q0));
}

// The exact float sum of 8 rows at once: eight independent chains of additions hide the latency of each. codes[i] points at the
// row's first payload byte.
template <int kEntries>
inline void exact_sums(const float* tables, int64_t m, const uint8_t* const* codes, float* sums) {
  float total[8] = {};
  if (kEntries == 256) {
    for (int64_t j = 0; j < m; ++j)
      for (int i = 0; i < 8; ++i) total[i] += tables[j * 256 + codes[i][j * kBlock]];
  } else {
    for (int64_t j = 0; j + 1 < m; j += 2)
      for (int i = 0; i < 8; ++i) {
        const uint8_t byte = codes[i][j / 2 * kBlock];
        total[i] += tables[j * 16 + (byte & 15)];
        total[i] += tables[j * 16 + 16 + (byte >> 4)];
      }
    if (m % 2)
      for (int i = 0; i < 8; ++i) total[i] += tables[(m - 1) * 16 + (codes[i][m / 2 * kBlock] & 15)];
  }
  for (int i = 0; i < 8; ++i) sums[i] = total[i];
}

// The smallest rounded sum with which a row can still enter, where score = sum + constant (or less: the bound only has to be safe).
inline uint32_t floor_of(const Screen& screen, const TopK& top, float constant) {
  if (!top.has_bar || !screen.usable) return 0;
  const double need = (static_cast<double>(top.bar) - constant - screen.base - screen.high) / screen.step;
  if (!(need > 0)) return 0;
  return need > 4e9 ? 4000000000u : static_cast<uint32_t>(__builtin_ceil(need));
}

// Sums rows of the reservoir exactly and offers them: those with low <= rounded sum < high.
template <int kEntries>
inline void settle_range(const Scan& s, int64_t q, Collector& collector, uint32_t low, uint32_t high) {
  const Reservoir& reservoir = collector.reservoir;
  const float* tables = static_cast<const float*>(s.operand) + q * s.m * kEntries;
  for (int64_t i = 0; i < reservoir.size;) {
    int64_t rows[8];
    const uint8_t* codes[8];
    float sums[8];
    int count = 0;
    for (; i < reservoir.size && count < 8; ++i)
      if (reservoir.sums[i] >= low && reservoir.sums[i] < high) rows[count++] = reservoir.rows[i];
    if (count == 0) break;
    for (int j = 0; j < 8; ++j) {
      const int64_t row = rows[j < count ? j : 0];
      codes[j] = s.block(row / kBlock) + s.head * kBlock + row % kBlock;
    }
    exact_sums<kEntries>(tables, s.m, codes, sums);
    for (int j = 0; j < count; ++j)
      offer(s, collector.top, rows[j], finish(s, s.block(rows[j] / kBlock), rows[j] % kBlock, sums[j], s.constant[q]));
  }
}

// Moves what can be among the k best from the reservoir to the top k, by exact sums.
template <int kEntries>
inline void settle(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  const Screen& screen = s.screens[q];
  uint32_t first = 0;
  if (s.plain() && screen.usable) {
    // the k best rounded sums first: their exact scores give a bar that half of the others need not be summed for
    reservoir.tighten(screen.width);
    first = reservoir.kth;
  }
  settle_range<kEntries>(s, q, collector, first, ~uint32_t{0});
  if (first > 0) {
    collector.top.shrink();
    settle_range<kEntries>(s, q, collector, floor_of(screen, collector.top, s.constant[q]), first);
  }
  reservoir.restart();
}

// Bit r: row r's bound reaches the bar, where per-vector factors change the order.
inline uint64_t reach(const Scan& s, const Screen& screen, const TopK& top, const uint8_t* block, const uint32_t* sums,
                      float constant, uint64_t mask) {
  if (!top.has_bar || !screen.usable) return mask;
  uint64_t pass = 0;
  for (uint64_t left = mask; left; left &= left - 1) {
    const int r = __builtin_ctzll(left);
    const double scale = factor_of(s.scale, block, r), middle = screen.base + screen.step * sums[r];
    const double bias = s.bias.kind != Factor::none ? factor_of(s.bias, block, r) : 0.0f;
    const double high = scale * (middle + screen.high), low = scale * (middle + screen.low);
    // the score's three roundings: relative, and absolute among float32's smallest numbers
    const double sizes = __builtin_fabs(scale) * screen.magnitude + __builtin_fabs(bias) + __builtin_fabs(constant);
    const double slack = 8 * 0x1p-24 * sizes + 4 * 0x1p-149;
    const double bound = (high > low ? high : low) + bias + constant + slack;
    constexpr double kNearOverflow = 3e38;  // where float32 may have given inf, or a product that is no number
    const bool overflows = !(__builtin_fabs(high) < kNearOverflow && __builtin_fabs(low) < kNearOverflow && bound < kNearOverflow);
    pass |= static_cast<uint64_t>(overflows || !(bound < top.bar)) << r;
  }
  return pass;
}

// Collects the rows of `pass` of block b; returns the smallest sum that is welcome from here on (`now` if nothing changed).
template <int kEntries, class Sum>
inline uint32_t collect(const Scan& s, int64_t q, Collector& collector, int64_t b, uint64_t pass, const Sum* sums, bool plain,
                        uint32_t now) {
  Reservoir& reservoir = collector.reservoir;
  int64_t size = reservoir.size;
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    reservoir.rows[size] = b * kBlock + r;
    reservoir.sums[size++] = sums[r];
  }
  reservoir.size = size;
  if (size < reservoir.limit) return now;
  const Screen& screen = s.screens[q];
  // sums order the scores only where score = sum + constant; otherwise the bar of the exact scores alone decides
  if (!(plain && screen.usable && reservoir.tighten(screen.width))) settle<kEntries>(s, q, collector);
  const uint32_t floor = floor_of(screen, collector.top, s.constant[q]);
  return floor > reservoir.floor ? floor : reservoir.floor;
}

constexpr uint32_t kLargestSum = 65535;

// Kernels that sum rounded tables in 16 bits. K::kPlanes: payload bytes whose sums cannot overflow;
// K::sums<G>(scan, payload, first plane, last plane, q, uint16[G][64]).
template <class K, int G>
inline void scan_screened_group(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  alignas(64) uint16_t sums[G][kBlock];
  alignas(64) uint32_t wide[G][kBlock];
  const bool narrow = s.payload <= K::kPlanes, plain = s.plain();
  uint32_t floors[G];
  for (int g = 0; g < G; ++g) {
    const uint32_t floor = floor_of(s.screens[q + g], collectors[g].top, s.constant[q + g]);
    floors[g] = floor > collectors[g].reservoir.floor ? floor : collectors[g].reservoir.floor;
  }
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    const uint8_t* block = s.block(b);
    const uint8_t* payload = block + s.head * kBlock;
    if (narrow) {
      K::template sums<G>(s, payload, 0, s.payload, q, sums);
    }
    if (!narrow || !plain) {
      for (int g = 0; g < G; ++g)
        for (int r = 0; r < kBlock; ++r) wide[g][r] = narrow ? sums[g][r] : 0;
      for (int64_t plane = narrow ? s.payload : 0; plane < s.payload; plane += K::kPlanes) {
        K::template sums<G>(s, payload, plane, plane + K::kPlanes < s.payload ? plane + K::kPlanes : s.payload, q, sums);
        for (int g = 0; g < G; ++g)
          for (int r = 0; r < kBlock; ++r) wide[g][r] += sums[g][r];
      }
    }
    for (int g = 0; g < G; ++g) {
      if (narrow && plain) {
        const uint64_t pass = floors[g] > kLargestSum ? 0 : mask & at_least(sums[g], static_cast<uint16_t>(floors[g]));
        if (pass) floors[g] = collect<K::kEntries>(s, q + g, collectors[g], b, pass, sums[g], plain, floors[g]);
      } else {
        uint64_t pass = 0;
        if (plain)
          for (int r = 0; r < kBlock; ++r) pass |= static_cast<uint64_t>(wide[g][r] >= floors[g]) << r;
        else
          pass = reach(s, s.screens[q + g], collectors[g].top, block, wide[g], s.constant[q + g], mask);
        pass &= mask;
        if (pass) floors[g] = collect<K::kEntries>(s, q + g, collectors[g], b, pass, wide[g], plain, floors[g]);
      }
    }
  }
}

template <class K>
inline void scan_screened(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  int64_t q = q0;
  for (; q + K::kQueries <= q1; q += K::kQueries)
    scan_screened_group<K, K::kQueries>(s, q, b0, b1, collectors + (q - q0));
  for (; q < q1; ++q) scan_screened_group<K, 1>(s, q, b0, b1, collectors + (q - q0));
}
