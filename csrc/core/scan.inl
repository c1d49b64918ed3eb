// The inside of every scan, once: filter, factors, screening, exact sums of the survivors, top k. Included inside a target region and
// an anonymous namespace, after the region's vectors (vec_*.inl), so that it is compiled for each instruction set.

inline uint64_t rows_of(const Scan& s, int64_t b) {
  const int64_t left = s.n - b * kBlock;
  const uint64_t all = left >= kBlock ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
  return s.allow ? all & s.allow[b] : all;
}

inline float factor_of(const Factor& f, const uint8_t* block, int64_t row) {
  const uint8_t* p = block + f.offset * kBlock + row;
  float stored = 0;
  switch (f.kind) {
    case Factor::f2:
    case Factor::f2_square:
      stored = half_to_float(static_cast<uint16_t>(p[0] | p[kBlock] << 8));
      break;
    case Factor::f4:
    case Factor::f4_square: {
      const uint32_t bits = p[0] | p[kBlock] << 8 | p[2 * kBlock] << 16 | static_cast<uint32_t>(p[3 * kBlock]) << 24;
      __builtin_memcpy(&stored, &bits, 4);
      break;
    }
    case Factor::u2:
    case Factor::u2_square: {  // vecpress/ops/factors.py
      const uint32_t bits = static_cast<uint32_t>(p[0] | p[kBlock] << 8) << 13;
      __builtin_memcpy(&stored, &bits, 4);
      stored *= 0x1p96f;
      break;
    }
    case Factor::u1:
      return f.table[p[0]];
    default:
      return f.value;
  }
  return (f.kind >= Factor::f2_square ? stored * stored : stored) * f.value;
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

// A block's factors as numbers: what factor_of gives for each row.
inline void factors_of(const Factor& f, const uint8_t* block, float* out) {
  const uint8_t* p = block + f.offset * kBlock;
  alignas(64) uint32_t bits[kBlock];
  alignas(64) uint16_t halves[kBlock];
  switch (f.kind) {
    case Factor::f2:
    case Factor::f2_square:
      for (int r = 0; r < kBlock; ++r) halves[r] = static_cast<uint16_t>(p[r] | p[kBlock + r] << 8);
      for (int r = 0; r < kBlock; r += Floats::kLanes) Floats::load_half(halves + r).store(out + r);
      break;
    case Factor::u2:
    case Factor::u2_square:
      for (int r = 0; r < kBlock; ++r) bits[r] = static_cast<uint32_t>(p[r] | p[kBlock + r] << 8) << 13;
      __builtin_memcpy(out, bits, sizeof bits);
      for (int r = 0; r < kBlock; ++r) out[r] = out[r] * 0x1p96f;
      break;
    case Factor::f4:
    case Factor::f4_square:
      for (int r = 0; r < kBlock; ++r)
        bits[r] = p[r] | p[kBlock + r] << 8 | p[2 * kBlock + r] << 16 | static_cast<uint32_t>(p[3 * kBlock + r]) << 24;
      __builtin_memcpy(out, bits, sizeof bits);
      break;
    case Factor::u1:
      for (int r = 0; r < kBlock; ++r) out[r] = f.table[p[r]];
      return;
    default:
      for (int r = 0; r < kBlock; ++r) out[r] = f.value;
      return;
  }
  if (f.kind >= Factor::f2_square)
    for (int r = 0; r < kBlock; ++r) out[r] = out[r] * out[r];
  for (int r = 0; r < kBlock; ++r) out[r] = out[r] * f.value;
}

// Scores of a block from its sums, float[64] to float[64].
inline void finish_block(const Scan& s, const uint8_t* block, const float* sums, float constant, float* scores) {
  if (s.plain()) {
    for (int r = 0; r < kBlock; ++r) scores[r] = sums[r] + constant;
    return;
  }
  alignas(64) float factors[kBlock];
  factors_of(s.scale, block, factors);
  for (int r = 0; r < kBlock; ++r) scores[r] = sums[r] * factors[r];
  if (s.bias.kind != Factor::none) {
    factors_of(s.bias, block, factors);
    for (int r = 0; r < kBlock; ++r) scores[r] = scores[r] + factors[r];
  }
  for (int r = 0; r < kBlock; ++r) scores[r] = scores[r] + constant;
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

// The exact float sums of 8 rows at once by tables: eight independent chains of additions hide the latency of each.
template <int kEntries>
struct TableSums {
  static void exact(const Scan& s, int64_t q, const int64_t (&rows)[8], int, float (&sums)[8]) {
    const float* tables = static_cast<const float*>(s.operand) + q * s.m * kEntries;
    const uint8_t* codes[8];
    for (int i = 0; i < 8; ++i) codes[i] = s.block(rows[i] / kBlock) + s.head * kBlock + rows[i] % kBlock;
    float total[8] = {};
    if (kEntries == 256) {
      for (int64_t j = 0; j < s.m; ++j)
        for (int i = 0; i < 8; ++i) total[i] += tables[j * 256 + codes[i][j * kBlock]];
    } else {
      for (int64_t j = 0; j + 1 < s.m; j += 2)
        for (int i = 0; i < 8; ++i) {
          const uint8_t byte = codes[i][j / 2 * kBlock];
          total[i] += tables[j * 16 + (byte & 15)];
          total[i] += tables[j * 16 + 16 + (byte >> 4)];
        }
      if (s.m % 2)
        for (int i = 0; i < 8; ++i) total[i] += tables[(s.m - 1) * 16 + (codes[i][s.m / 2 * kBlock] & 15)];
    }
    for (int i = 0; i < 8; ++i) sums[i] = total[i];
  }
};

// Sums candidates [begin, end) of the reservoir exactly, but those that cannot enter any more, and offers them.
template <class Exact>
inline void settle_range(const Scan& s, int64_t q, Collector& collector, int64_t begin, int64_t end) {
  const Candidate* candidates = collector.reservoir.candidates;
  for (int64_t i = begin; i < end;) {
    int64_t rows[8];
    float sums[8];
    int count = 0;
    const float bar = collector.bar();
    for (; i < end && count < 8; ++i)
      if (!(candidates[i].high < bar)) rows[count++] = candidates[i].row;
    if (count == 0) break;
    for (int j = count; j < 8; ++j) rows[j] = rows[0];
    Exact::exact(s, q, rows, count, sums);
    for (int j = 0; j < count; ++j)
      offer(s, collector.top, rows[j], finish(s, s.block(rows[j] / kBlock), rows[j] % kBlock, sums[j], s.constant[q]));
  }
}

// Moves what can be among the k best from the reservoir to the top k, by exact sums.
template <class Exact>
inline void settle(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  reservoir.tighten();
  const int64_t first = reservoir.k < reservoir.size ? reservoir.k : reservoir.size;
  // the k of best lower bounds first: their exact scores give a bar that many of the others need not be summed for
  settle_range<Exact>(s, q, collector, 0, first);
  collector.top.shrink();
  settle_range<Exact>(s, q, collector, first, reservoir.size);
  reservoir.restart();
}

// A block's factors, for bounds: the bias between two numbers, already widened by what roundings may lose.
struct BlockFactors {
  alignas(64) float scale[kBlock], bias[kBlock], least_bias[kBlock];
  float largest_scale, largest_bias;

  // For score = sum * scale + bias + constant.
  BlockFactors(const Scan& s, const uint8_t* block) {
    factors_of(s.scale, block, scale);
    if (s.bias.kind == Factor::none)
      for (int r = 0; r < kBlock; ++r) bias[r] = 0;
    else
      factors_of(s.bias, block, bias);
    __builtin_memcpy(least_bias, bias, sizeof bias);
    widen(kSlack);
  }

  // For score = -|row|^2 + 2 stretch <row, levels> - stretch^2 |levels|^2 + constant, with |levels|^2 between `least` and `most`.
  BlockFactors(const Scan& s, const uint8_t* block, const double* least, const double* most) {
    factors_of(s.stretch, block, scale);
    for (int r = 0; r < kBlock; ++r) {
      const double square = static_cast<double>(scale[r]) * scale[r];  // which may be far below what float has
      bias[r] = static_cast<float>(-square * least[r]);
      least_bias[r] = static_cast<float>(-square * most[r]);
      scale[r] = 2 * scale[r];
    }
    widen(static_cast<float>(slack_of(s)));
  }

  static constexpr float kSlack = 32 * 0x1p-24f;

  // What roundings may lose of squares: those of `kSlack`, and those of the definition's chains of m / 16 and 4 additions, in which a
  // sum of squared differences is at most twice the two squares.
  static double slack_of(const Scan& s) { return kSlack + (s.distances ? 0x1p-24 * (static_cast<double>(s.m) / 8 + 20) : 0); }

  // And what they may lose among float32's smallest numbers, where they are absolute.
  static double least_slack_of(const Scan& s) { return 0x1p-149 * (s.distances ? static_cast<double>(s.m) + 16 : 6); }

 private:
  void widen(float slack) {
    largest_scale = largest(scale);
    const float one = largest(bias), other = largest(least_bias);
    largest_bias = one > other || one != one ? one : other;
    for (int r = 0; r < kBlock; ++r) {
      const float lost = slack * __builtin_fabsf(least_bias[r]);
      const float lost_too = slack * __builtin_fabsf(bias[r]);
      const float more = lost > lost_too ? lost : lost_too;
      bias[r] = bias[r] + more;
      least_bias[r] = least_bias[r] - more;
    }
  }

  // The largest absolute value, not a number if one is not; absolute floats are ordered as their bits are.
  static float largest(const float* x) {
    alignas(64) uint32_t bits[kBlock];
    __builtin_memcpy(bits, x, sizeof bits);
    uint32_t most = 0;
    for (int r = 0; r < kBlock; ++r) {
      const uint32_t absolute = bits[r] & 0x7fffffffu;
      most = absolute > most ? absolute : most;
    }
    float out;
    __builtin_memcpy(&out, &most, sizeof out);
    return out;
  }
};

struct Bounds {
  float low, high;
};

// Between what a row's score lies, from its whole number. factors: of its block, nullptr where score = sum + constant.
inline Bounds bounds_of(const Scan& s, const Screen& screen, const BlockFactors* factors, int r, double number, float constant) {
  constexpr double kNearOverflow = 1e38;  // where float32 may have given inf, or a product that is no number
  constexpr double kRelative = 12 * 0x1p-24;  // the score's three roundings and those to float here
  const double absolute = BlockFactors::least_slack_of(s);
  const double middle = screen.base + screen.step * number;
  if (!screen.usable) return {-__builtin_inff(), __builtin_inff()};
  if (!factors) {
    const double slack = kRelative * (screen.extent + __builtin_fabs(constant)) + absolute;
    return {static_cast<float>(middle + screen.low + constant - slack), static_cast<float>(middle + screen.high + constant + slack)};
  }
  const double scale = factors->scale[r], added = constant - screen.square;
  const double one = scale * (middle + screen.low), other = scale * (middle + screen.high);
  const double sizes = __builtin_fabs(scale) * screen.extent + __builtin_fabs(constant);
  const double all = sizes + screen.square + __builtin_fabs(factors->bias[r]) + __builtin_fabs(factors->least_bias[r]);
  if (!(all < kNearOverflow)) return {-__builtin_inff(), __builtin_inff()};
  const double slack = kRelative * all + BlockFactors::slack_of(s) * screen.square + absolute;
  const double low = (one < other ? one : other) + factors->least_bias[r] + added - slack;
  const double high = (one < other ? other : one) + factors->bias[r] + added + slack;
  return {static_cast<float>(low), static_cast<float>(high)};
}

// Bit r: row r's upper bound reaches the bar. numbers: uint32[64] below 2^31.
inline uint64_t reach(const Scan& s, const Screen& screen, const BlockFactors& f, float bar, const uint32_t* numbers,
                      float constant) {
  if (!screen.usable || bar == -__builtin_inff()) return ~uint64_t{0};
  const double sizes =
      static_cast<double>(f.largest_scale) * screen.extent + f.largest_bias + __builtin_fabs(constant) + screen.square;
  if (!(sizes < 1e37)) {
    uint64_t pass = 0;
    for (int r = 0; r < kBlock; ++r)
      pass |= static_cast<uint64_t>(!(bounds_of(s, screen, &f, r, numbers[r], constant).high < bar)) << r;
    return pass;
  }
  // bounds_of in float32: its roundings, here and of the score, are each at most 2^-24 of what `kSlack` is a part of
  const double slack = BlockFactors::kSlack * screen.extent;
  const float high = static_cast<float>(screen.base + screen.high + slack), low = static_cast<float>(screen.base + screen.low - slack);
  const float step = static_cast<float>(screen.step);
  const double need = static_cast<double>(bar) - constant + screen.square;
  const float wanted = static_cast<float>(need - BlockFactors::kSlack * (__builtin_fabs(constant) + __builtin_fabs(bar)) -
                                          BlockFactors::slack_of(s) * screen.square - BlockFactors::least_slack_of(s) - 0x1p-130);
  alignas(64) float reached[kBlock];
  for (int r = 0; r < kBlock; ++r) {
    const float above = step * static_cast<float>(static_cast<int32_t>(numbers[r]));
    const float one = f.scale[r] * (above + high), other = f.scale[r] * (above + low);
    reached[r] = (one > other ? one : other) + f.bias[r];
  }
  return not_below(reached, wanted);
}

// Collects the rows of `pass` of block b; settles them where they get too many.
template <class Exact, class Number>
inline void collect(const Scan& s, int64_t q, Collector& collector, int64_t b, uint64_t pass, const Number* numbers,
                    const BlockFactors* factors = nullptr) {
  Reservoir& reservoir = collector.reservoir;
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    const Bounds bounds = bounds_of(s, s.screens[q], factors, r, numbers[r], s.constant[q]);
    reservoir.candidates[reservoir.size++] = {b * kBlock + r, bounds.low, bounds.high};
  }
  if (reservoir.size >= reservoir.limit && !reservoir.tighten()) settle<Exact>(s, q, collector);
}

// The smallest whole number with which a row can still enter, where score = sum + constant (or less: the bound only has to be safe).
inline uint32_t floor_of(const Screen& screen, float bar, float constant) {
  if (!screen.usable || bar == -__builtin_inff()) return 0;
  const double need = (static_cast<double>(bar) - constant - screen.base - screen.high) / screen.step;
  if (!(need > 0)) return 0;
  return need > 4e9 ? 4000000000u : static_cast<uint32_t>(__builtin_ceil(need));
}

constexpr uint32_t kLargestSum = 65535;

// Kernels that sum rounded tables in 16 bits. K::kPlanes: payload bytes whose sums cannot overflow; K::Exact: exact sums;
// K::sums<G>(scan, payload, first plane, last plane, q, uint16[G][64]).
template <class K, int G>
inline void scan_screened_group(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  using Exact = typename K::Exact;
  alignas(64) uint16_t sums[G][kBlock];
  alignas(64) uint32_t wide[G][kBlock];
  const bool narrow = s.payload <= K::kPlanes, plain = s.plain();
  uint32_t floors[G];
  for (int g = 0; g < G; ++g) floors[g] = floor_of(s.screens[q + g], collectors[g].bar(), s.constant[q + g]);
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
    if (!plain) {
      const BlockFactors factors(s, block);
      for (int g = 0; g < G; ++g) {
        const uint64_t pass =
            mask & reach(s, s.screens[q + g], factors, collectors[g].bar(), wide[g], s.constant[q + g]);
        if (pass) collect<Exact>(s, q + g, collectors[g], b, pass, wide[g], &factors);
      }
      continue;
    }
    for (int g = 0; g < G; ++g) {
      uint64_t pass = 0;
      if (narrow)
        pass = floors[g] > kLargestSum ? 0 : mask & at_least(sums[g], static_cast<uint16_t>(floors[g]));
      else
        for (int r = 0; r < kBlock; ++r) pass |= static_cast<uint64_t>(wide[g][r] >= floors[g]) << r;
      pass &= mask;
      if (!pass) continue;
      if (narrow)
        collect<Exact>(s, q + g, collectors[g], b, pass, sums[g]);
      else
        collect<Exact>(s, q + g, collectors[g], b, pass, wide[g]);
      floors[g] = floor_of(s.screens[q + g], collectors[g].bar(), s.constant[q + g]);
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
