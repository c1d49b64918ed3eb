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

constexpr double kRoundings = 12 * 0x1p-24;  // relative: the score's three, and those to float here

// Between what a row's score lies, from its whole number on `line` and its block's factors.
inline Bounds bounds_of(const Scan& s, const Screen& screen, const Line& line, const BlockFactors& factors, int r, double number,
                        float constant) {
  constexpr double kNearOverflow = 1e38;  // where float32 may have given inf, or a product that is no number
  if (!screen.usable) return {-__builtin_inff(), __builtin_inff()};
  const double middle = line.base + line.step * number;
  const double scale = factors.scale[r], added = constant - screen.square;
  const double one = scale * (middle + line.low), other = scale * (middle + line.high);
  const double sizes = __builtin_fabs(scale) * screen.extent + __builtin_fabs(constant);
  const double all = sizes + screen.square + __builtin_fabs(factors.bias[r]) + __builtin_fabs(factors.least_bias[r]);
  if (!(all < kNearOverflow)) return {-__builtin_inff(), __builtin_inff()};
  const double slack = kRoundings * all + BlockFactors::slack_of(s) * screen.square + BlockFactors::least_slack_of(s);
  const double low = (one < other ? one : other) + factors.least_bias[r] + added - slack;
  const double high = (one < other ? other : one) + factors.bias[r] + added + slack;
  return {static_cast<float>(low), static_cast<float>(high)};
}

// Bit r: row r's upper bound reaches the bar. numbers: uint32[64] below 2^31, on `line`.
inline uint64_t reach(const Scan& s, const Screen& screen, const Line& line, const BlockFactors& f, float bar, const uint32_t* numbers,
                      float constant) {
  if (!screen.usable || bar == -__builtin_inff()) return ~uint64_t{0};
  const double sizes =
      static_cast<double>(f.largest_scale) * screen.extent + f.largest_bias + __builtin_fabs(constant) + screen.square;
  if (!(sizes < 1e37)) {
    uint64_t pass = 0;
    for (int r = 0; r < kBlock; ++r)
      pass |= static_cast<uint64_t>(!(bounds_of(s, screen, line, f, r, numbers[r], constant).high < bar)) << r;
    return pass;
  }
  // bounds_of in float32: its roundings, here and of the score, are each at most 2^-24 of what `kSlack` is a part of
  const double slack = BlockFactors::kSlack * screen.extent;
  const float high = static_cast<float>(line.base + line.high + slack), low = static_cast<float>(line.base + line.low - slack);
  const float step = static_cast<float>(line.step);
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

// Between what a block's factors are, so that one whole number rules most blocks out.
struct FactorRange {
  float least_scale, largest_scale, largest_bias;
  double per_least, per_largest;  // one by the scales

  // Of factors as numbers; biases are widened by `slack` here, 0 where they are already.
  FactorRange(const float* scale, const float* bias, float slack) {
    float least[kPart], largest[kPart], above[kPart];
    for (int i = 0; i < kPart; ++i) least[i] = __builtin_inff();
    for (int i = 0; i < kPart; ++i) largest[i] = above[i] = -__builtin_inff();
    for (int r = 0; r < kBlock; r += kPart)
      for (int i = 0; i < kPart; ++i) {
        const float x = scale[r + i], y = bias[r + i] + slack * __builtin_fabsf(bias[r + i]);
        least[i] = x < least[i] ? x : least[i];
        largest[i] = x > largest[i] ? x : largest[i];
        above[i] = y > above[i] ? y : above[i];
      }
    for (int half = kPart / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) {
        least[i] = least[i + half] < least[i] ? least[i + half] : least[i];
        largest[i] = largest[i + half] > largest[i] ? largest[i + half] : largest[i];
        above[i] = above[i + half] > above[i] ? above[i + half] : above[i];
      }
    least_scale = least[0];
    largest_scale = largest[0];
    largest_bias = above[0];
    per_least = 1 / static_cast<double>(least_scale);
    per_largest = 1 / static_cast<double>(largest_scale);
  }

  // The least whole number on `line` with which a row's score may reach the bar; 0 where nothing can be said.
  uint32_t floor(const Scan& s, const Screen& screen, const Line& line, float bar, float constant) const {
    if (!screen.usable || bar == -__builtin_inff() || !(least_scale > 0)) return 0;
    const double sizes = static_cast<double>(largest_scale) * screen.extent + __builtin_fabsf(largest_bias) + __builtin_fabs(constant) + screen.square;
    if (!(sizes < 1e37)) return 0;
    // as in reach()
    const double need = static_cast<double>(bar) - constant + screen.square - BlockFactors::kSlack * (__builtin_fabs(constant) + __builtin_fabs(bar)) -
                        BlockFactors::slack_of(s) * screen.square - BlockFactors::least_slack_of(s) - 0x1p-130 - largest_bias;
    const double sum = need * (need > 0 ? per_largest : per_least) - BlockFactors::kSlack * screen.extent;
    const double number = (sum - line.base - line.high) * line.per_step;
    return !(number > 0) ? 0 : number > 4e9 ? 4000000000u : static_cast<uint32_t>(__builtin_ceil(number));
  }

 private:
  static constexpr int kPart = 16;
};

// Makes room where candidates get too many, by exact sums where nothing else helps.
template <class Exact>
inline void make_room(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  if (reservoir.size >= reservoir.limit && !reservoir.make_room()) settle<Exact>(s, q, collector);
}

// Where score = sum + constant: which coarse numbers can enter, and what fine ones say of the score.
struct SumsWanted {
  uint32_t floor;
  float bar;
  double high, per_step;              // of the coarse
  double step, fine_low, fine_high;   // a row of fine number Q scores between fine_low + step * Q and fine_high + step * Q

  void start(const Scan& s, int64_t q, const Collector& collector) {
    const Screen& screen = s.screens[q];
    const double constant = s.constant[q], slack = kRoundings * (screen.extent + __builtin_fabs(constant)) + BlockFactors::least_slack_of(s);
    step = screen.fine.step;
    fine_low = screen.usable ? screen.fine.base + screen.fine.low + constant - slack : -__builtin_inff();
    fine_high = screen.usable ? screen.fine.base + screen.fine.high + constant + slack : __builtin_inff();
    high = screen.usable ? screen.coarse.base + screen.coarse.high + constant + slack : __builtin_inff();
    per_step = screen.coarse.per_step;
    bar = -__builtin_inff();
    floor = 0;
    raise(collector);
  }

  void raise(const Collector& collector) {
    if (collector.bar() == bar) return;
    bar = collector.bar();
    floor = least(high);
  }

  // The least coarse number that can enter, where `most` + its step lies above the score.
  uint32_t least(double most) const {
    const double need = (static_cast<double>(bar) - most) * per_step;  // slack is far more than this rounds
    return !(need > 0) ? 0 : need > 4e9 ? 4000000000u : static_cast<uint32_t>(__builtin_ceil(need));
  }

  // `floor` for a block of which no row is farther from the middle level than `distance`.
  uint32_t floor_within(const Screen& screen, double distance) const {
    const double error = screen.sure + screen.spread * distance;
    return screen.usable && error < screen.coarse.high ? least(high - (screen.coarse.high - error)) : floor;
  }

  // Collects the rows of `pass` of block b by their fine numbers.
  template <class Exact>
  void collect(const Scan& s, int64_t q, Collector& collector, int64_t b, uint64_t pass, const double* fine) {
    for (; pass; pass &= pass - 1) {
      const int r = __builtin_ctzll(pass);
      const float most = static_cast<float>(fine_high + step * fine[r]);
      if (!(most < bar)) collector.reservoir.add(b * kBlock + r, static_cast<float>(fine_low + step * fine[r]), most);
    }
    make_room<Exact>(s, q, collector);
    raise(collector);
  }
};

// The same where rows have factors.
template <class Exact>
inline void collect_scaled(const Scan& s, int64_t q, Collector& collector, const BlockFactors& factors, int64_t b, uint64_t pass, const double* fine) {
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    const Bounds bounds = bounds_of(s, s.screens[q], s.screens[q].fine, factors, r, fine[r], s.constant[q]);
    if (!(bounds.high < collector.bar())) collector.reservoir.add(b * kBlock + r, bounds.low, bounds.high);
  }
  make_room<Exact>(s, q, collector);
}

// ---- kernels that count or sum in 16 bits, and skip rows by what they get
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
  for (int64_t b = b0; b < b1;) {
    uint64_t masks[W];
    bool whole = b + W <= b1;
    for (int w = 0; whole && w < W; ++w) whole = (masks[w] = rows_of(s, b + w)) != 0;
    if (whole) {
      scan_tile<K, G, W>(s, q, b, masks, collectors, wanted);
      b += W;
      continue;
    }
    masks[0] = rows_of(s, b);
    if (masks[0]) scan_tile<K, G, 1>(s, q, b, masks, collectors, wanted);
    ++b;
  }
}

// All queries, K::kQueries at a time.
template <class K>
inline void scan_queries(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  int64_t q = q0;
  for (; q + K::kQueries <= q1; q += K::kQueries) scan_tiles<K, K::kQueries, K::kTile>(s, q, b0, b1, collectors + (q - q0));
  for (; q < q1; ++q) scan_tiles<K, 1, K::kTileAlone>(s, q, b0, b1, collectors + (q - q0));
}

// ---- kernels that sum rounded tables: Sums::sums<G, W> as above, Sums::refine(scan, q, block, double[64]) gives the fine numbers of a block,
// Sums::refine_row(scan, q, block, row) that of a row, Sums::Exact the exact sums; Sums::kPlanes payload bytes do not overflow

constexpr int kFewRows = 4;  // that are refined one by one, for the whole block takes longer

template <class Sums>
inline void refine_rows(const Scan& s, int64_t q, int64_t b, uint64_t pass, double* fine) {
  if (__builtin_popcountll(pass) > kFewRows) return Sums::refine(s, q, b, fine);
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    fine[r] = Sums::refine_row(s, q, b, r);
  }
}

template <class Sums>
struct PlainTables : Sums {
  using Wanted = SumsWanted;

  static void floors(const Scan&, int64_t, int64_t, const Collector*, const Wanted* wanted, int count, uint32_t* out, int stride) {
    for (int g = 0; g < count; ++g) out[g * stride] = wanted[g].floor;
  }

  template <class Number>
  static void collect(const Scan& s, int64_t q, Collector& collector, Wanted& wanted, int64_t b, uint64_t pass, const Number*) {
    alignas(64) double fine[kBlock];
    refine_rows<Sums>(s, q, b, pass, fine);
    wanted.template collect<typename Sums::Exact>(s, q, collector, b, pass, fine);
  }
};

// Codes with factors.
template <class Sums>
struct ScaledTables : Sums {
  struct Wanted {
    void start(const Scan&, int64_t, const Collector&) {}
  };

  static void floors(const Scan& s, int64_t q, int64_t b, const Collector* collectors, const Wanted*, int count, uint32_t* out, int stride) {
    alignas(64) float scale[kBlock], bias[kBlock] = {};
    factors_of(s.scale, s.block(b), scale);
    if (s.bias.kind != Factor::none) factors_of(s.bias, s.block(b), bias);
    const FactorRange range(scale, bias, BlockFactors::kSlack);
    for (int g = 0; g < count; ++g)
      out[g * stride] = range.floor(s, s.screens[q + g], s.screens[q + g].coarse, collectors[g].bar(), s.constant[q + g]);
  }

  template <class Number>
  static void collect(const Scan& s, int64_t q, Collector& collector, Wanted&, int64_t b, uint64_t pass, const Number* numbers) {
    alignas(64) uint32_t coarse[kBlock];
    alignas(64) double fine[kBlock];
    for (int r = 0; r < kBlock; ++r) coarse[r] = pass >> r & 1 ? numbers[r] : 0;
    const BlockFactors factors(s, s.block(b));
    const Screen& screen = s.screens[q];
    pass &= reach(s, screen, screen.coarse, factors, collector.bar(), coarse, s.constant[q]);
    if (!pass) return;
    refine_rows<Sums>(s, q, b, pass, fine);
    collect_scaled<typename Sums::Exact>(s, q, collector, factors, b, pass, fine);
  }
};

// Codes longer than 16 bits hold the sums of: a block at a time.
template <class K>
inline void scan_long(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector& collector) {
  alignas(64) uint16_t some[kBlock];
  alignas(64) uint32_t numbers[kBlock];
  typename K::Wanted wanted;
  wanted.start(s, q, collector);
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    for (int row = 0; row < kBlock; row += Bytes::kLanes)
      for (int64_t plane = 0; plane < s.payload; plane += K::kPlanes) {
        ByteSums sums[1][1];
        const int64_t end = plane + K::kPlanes < s.payload ? plane + K::kPlanes : s.payload;
        K::template sums<1, 1>(s, Tile(s, b, row), plane, end, q, sums);
        sums[0][0].store(some);
        for (int r = 0; r < Bytes::kLanes; ++r) numbers[row + r] = (plane ? numbers[row + r] : 0) + some[r];
      }
    uint32_t floor;
    K::floors(s, q, b, &collector, &wanted, 1, &floor, 1);
    if (const uint64_t pass = mask & at_least(numbers, floor)) K::collect(s, q, collector, wanted, b, pass, numbers);
  }
}

template <class Sums>
inline void scan_tables(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  const bool plain = s.plain();
  if (s.payload <= Sums::kPlanes) {
    if (plain)
      scan_queries<PlainTables<Sums>>(s, q0, q1, b0, b1, collectors);
    else
      scan_queries<ScaledTables<Sums>>(s, q0, q1, b0, b1, collectors);
    return;
  }
  for (int64_t q = q0; q < q1; ++q) {
    if (plain)
      scan_long<PlainTables<Sums>>(s, q, b0, b1, collectors[q - q0]);
    else
      scan_long<ScaledTables<Sums>>(s, q, b0, b1, collectors[q - q0]);
  }
}
