// Codes of some rows, 32 rows at a time: the labels of four bytes' sub-vectors gather in a 32-bit number a row, then are written.
// Included inside a target region, after core/nearest.inl.

void encode_rows(const EncodePqArgs& a, int64_t begin, int64_t end, float* scratch) {
  static_assert(EncodePq::kScratch == 2 * kNearestRows, "scratch holds two tiles");
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
