// Codes of some rows, 32 rows at a time: the labels of four bytes' sub-vectors gather in a 32-bit number a row, then are written. Where the
// codebooks come by column, row by row, with centroids as lanes. Included inside a target region, after core/nearest.inl.

// V vectors of centroids, from c on, against a sub-vector x. Each lane keeps the nearest of its centroids, of equal ones the first.
template <int V>
[[gnu::always_inline]] inline void offer_columns(const EncodePqArgs& a, const float* x, const float* columns, int64_t c,
                                                 const uint32_t* numbers, Floats& best, Ints& label) {
  Floats sum[1][V];
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) sum[0][v] = Floats::zero();
  chains<true, 1, V>(x, 0, columns + c, a.ks, kStrip, a.dsub, sum);
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) keep_smaller(sum[0][v], Ints::load(numbers + c + v * Floats::kLanes), best, label);
}

void encode_by_column(const EncodePqArgs& a, int64_t begin, int64_t end) {
  constexpr int kMany = 8, kLanes = Floats::kLanes;  // vectors, whose chains side by side hide the latency of each
  const int64_t d = a.m * a.dsub, code_size = a.ks == 256 ? a.m : (a.m + 1) / 2;
  alignas(64) uint32_t numbers[256], label_of[kLanes];
  alignas(64) float best_of[kLanes];
  for (uint32_t c = 0; c < 256; ++c) numbers[c] = c;
  for (int64_t j = 0; j < a.m; ++j) {
    const float* columns = a.codebooks + j * a.ks * a.dsub;
    for (int64_t row = begin; row < end; ++row) {
      const float* x = a.x + row * d + j * a.dsub;
      Floats best = Floats::set1(__builtin_inff());
      Ints label = Ints::zero();
      int64_t c = 0;
      for (; c + kMany * kLanes <= a.ks; c += kMany * kLanes) offer_columns<kMany>(a, x, columns, c, numbers, best, label);
      for (; c < a.ks; c += kStrip) offer_columns<kPerStrip>(a, x, columns, c, numbers, best, label);
      best.store(best_of);
      label.store(label_of);
      uint32_t nearest = label_of[0];
      float least = best_of[0];
      for (int i = 1; i < kLanes; ++i)
        if (best_of[i] < least || (best_of[i] == least && label_of[i] < nearest)) {
          least = best_of[i];
          nearest = label_of[i];
        }
      if (a.ks == 256)
        a.out[row * code_size + j] = static_cast<uint8_t>(nearest);
      else if (j % 2)
        a.out[row * code_size + j / 2] |= static_cast<uint8_t>(nearest << 4);
      else
        a.out[row * code_size + j / 2] = static_cast<uint8_t>(nearest);
    }
  }
}

void encode_rows(const EncodePqArgs& a, int64_t begin, int64_t end, float* scratch) {
  static_assert(EncodePq::kScratch == 2 * kNearestRows, "scratch holds two tiles");
  if (a.by_column) return encode_by_column(a, begin, end);
  const int64_t d = a.m * a.dsub;
  const int bits = a.ks == 256 ? 8 : 4;
  const int64_t code_size = (a.m * bits + 7) / 8, per_word = 32 / bits;
  for (int64_t row = begin; row < end; row += kNearestRows) {
    const int64_t rows = end - row < kNearestRows ? end - row : kNearestRows;
    for (int64_t first = 0; first < a.m; first += per_word) {
      const int64_t last = first + per_word < a.m ? first + per_word : a.m;
      uint32_t words[kNearestRows] = {};
      for (int64_t j = first; j < last; ++j) {
        fill_tile(a.x + row * d + j * a.dsub, d, rows, a.dsub, scratch);
        const float* centroids = a.codebooks + j * a.ks * a.dsub;
        const int shift = static_cast<int>(j - first) * bits;
        if (a.starts && a.largest[j] < kLargestByProducts)
          nearest_by_products(scratch, rows, centroids, a.starts + j * a.ks, a.largest[j], a.ks, a.dsub, shift, words, nullptr,
                              scratch + a.dsub * kNearestRows);
        else
          nearest_by_differences(scratch, rows, centroids, a.ks, a.dsub, shift, words, nullptr);
      }
      uint8_t* out = a.out + row * code_size + first * bits / 8;
      const int64_t bytes = ((last - first) * bits + 7) / 8;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t b = 0; b < bytes; ++b) out[i * code_size + b] = static_cast<uint8_t>(words[i] >> (8 * b));
    }
  }
}
