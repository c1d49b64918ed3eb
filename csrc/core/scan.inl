// The inside of every scan, once: filter, factors, screening, exact sums of the survivors, top k. Included inside a target region and
// an anonymous namespace, after the region's vectors (vec_*.inl), so that it is compiled for each instruction set.

inline uint64_t rows_of(const Scan& s, int64_t b) {
  const int64_t left = s.n - b * kBlock;
  const uint64_t all = left >= kBlock ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
  return s.allow ? all & s.allow[b] : all;
}

constexpr int64_t kCached = 16 << 20;  // bytes of code: more come from memory

inline bool from_memory(const Scan& s) { return s.n * s.code_size > kCached; }

// Who passes over codes in memory first asks for them line by line, so many bytes before they are needed. No processor tried fetches them by
// itself as fast as memory gives: the work between two lines holds back its look ahead (docs/decisions/015). Half of the distance hides too
// little, twice as much does not stay in the nearest cache.
constexpr int64_t kAhead = 7 << 10;

// The blocks of [b, end) that have an allowed row, one after the other, and the codes to ask for meanwhile: those of so many of them later.
class Walk {
 public:
  int64_t b;

  Walk(const Scan& scan, int64_t first, int64_t last, bool streams) : s(scan), end(last), stride(s.stride * kBlock) {
    b = then = filled(first);
    const int64_t read = s.code_size * kBlock;
    lead = streams && read ? (kAhead + read - 1) / read : 0;
    for (int64_t i = 0; i < lead; ++i) then = filled(then + 1);
  }
  bool done() const { return b >= end; }
  void next() {
    b = filled(b + 1);
    if (lead) then = filled(then + 1);
  }
  // How far behind a line of this block lies the one to ask for.
  int64_t ahead() const { return s.stride == s.code_size && (then == b + lead || then >= end) ? kAhead : whole_blocks_ahead(); }
  int64_t whole_blocks_ahead() const { return then > b && then < end ? (then - b) * stride : stride; }

 private:
  const Scan& s;
  const int64_t end, stride;
  int64_t lead, then;

  int64_t filled(int64_t block) const {
    while (block < end && !rows_of(s, block)) ++block;
    return block;
  }
};

[[gnu::always_inline]] inline void ask_for(const uint8_t* line) { __builtin_prefetch(line); }

// A block's share of the factors' lines; kernels ask for the payload's as they read it.
inline void ask_for_factors(const Scan& s, const uint8_t* block, int64_t ahead) {
  for (int64_t line = 0; line < s.head; ++line) ask_for(block + line * kBlock + ahead);
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
    for (; i < end && count < 8; ++i) {
      if (candidates[i].high < bar) continue;
      if (candidates[i].exact())
        offer(s, collector.top, candidates[i].row, candidates[i].high);
      else
        rows[count++] = candidates[i].row;
    }
    if (count == 0) break;
    for (int64_t j = i; j < end && j < i + 8; ++j) {  // the next rows' bytes come meanwhile, each from a cache line of its own
      const uint8_t* row = s.block(candidates[j].row / kBlock) + candidates[j].row % kBlock;
      for (int64_t byte = s.head; byte < s.code_size; ++byte) __builtin_prefetch(row + byte * kBlock);
    }
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
