// Hamming distances of 64 codes at a time: xor with the query's byte, count, add bytes for 31 planes (31 * 8 < 256), then 16 bits.
// Included inside a target region and an anonymous namespace, after the region's vectors and core/scan.inl.

template <int G>
inline void count_differences(const Scan& s, const uint8_t* payload, int64_t q, uint16_t (*counts)[kBlock]) {
  const uint8_t* bits = static_cast<const uint8_t*>(s.operand) + q * s.payload;
  for (int r = 0; r < kBlock; r += Bytes::kLanes) {
    ByteSums total[G];
    for (int64_t begin = 0; begin < s.payload; begin += 31) {
      const int64_t end = begin + 31 < s.payload ? begin + 31 : s.payload;
      Bytes few[G];
      for (int g = 0; g < G; ++g) few[g] = Bytes::zero();
      for (int64_t j = begin; j < end; ++j) {
        const Bytes codes = Bytes::load(payload + j * kBlock + r);
        for (int g = 0; g < G; ++g) few[g] = few[g] + (codes ^ Bytes::set1(bits[g * s.payload + j])).popcount();
      }
      for (int g = 0; g < G; ++g) total[g].add(few[g]);
    }
    for (int g = 0; g < G; ++g) total[g].store(counts[g] + r);
  }
}

// One more than the largest distance whose score can enter, where the score falls with the distance. Rows come in ascending order, so
// without explicit ids a later row loses every tie.
inline uint32_t first_refused(const Scan& s, const TopK& top, float constant) {
  uint32_t low = 0, high = static_cast<uint32_t>(8 * s.payload) + 1;
  if (!top.has_bar) return high;
  while (low < high) {  // the first distance that does not enter
    const uint32_t middle = (low + high) / 2;
    float score = static_cast<float>(middle) * s.scale.value + constant;
    if (score != score) score = -__builtin_inff();  // as TopK::push has it
    if (score > top.bar || (s.ids && score == top.bar))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

template <int G>
inline void scan_hamming_group(const Scan& s, int64_t q, int64_t b0, int64_t b1, Collector* collectors) {
  alignas(64) uint16_t counts[G][kBlock];
  alignas(64) float sums[kBlock], scores[kBlock];
  const bool falling = s.scale.kind == Factor::none && s.scale.value < 0 && s.bias.kind == Factor::none;
  uint32_t refused[G];
  for (int g = 0; g < G; ++g) refused[g] = falling ? first_refused(s, collectors[g].top, s.constant[q + g]) : 0;
  for (int64_t b = b0; b < b1; ++b) {
    const uint64_t mask = rows_of(s, b);
    if (!mask) continue;
    const uint8_t* block = s.block(b);
    count_differences<G>(s, block + s.head * kBlock, q, counts);
    for (int g = 0; g < G; ++g) {
      if (!falling) {
        for (int r = 0; r < kBlock; ++r) sums[r] = counts[g][r];
        finish_block(s, block, sums, s.constant[q + g], scores);
        offer_block(s, collectors[g].top, b, mask, scores);
        continue;
      }
      uint64_t pass = mask & ~at_least(counts[g], static_cast<uint16_t>(refused[g]));
      if (!pass) continue;
      for (; pass; pass &= pass - 1) {
        const int r = __builtin_ctzll(pass);
        offer(s, collectors[g].top, b * kBlock + r, finish(s, block, r, counts[g][r], s.constant[q + g]));
      }
      refused[g] = first_refused(s, collectors[g].top, s.constant[q + g]);
    }
  }
}

void scan_hamming(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  constexpr int kQueries = 4;
  int64_t q = q0;
  for (; q + kQueries <= q1; q += kQueries) scan_hamming_group<kQueries>(s, q, b0, b1, collectors + (q - q0));
  for (; q < q1; ++q) scan_hamming_group<1>(s, q, b0, b1, collectors + (q - q0));
}
