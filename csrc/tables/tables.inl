// Tables of some queries: three strips of 16 centroids at a time are transposed into scratch, then every query passes over them. Codebooks
// that come by column are read where they are.
// Included inside a target region, after core/strips.inl.

template <bool kL2>
inline void tables_by_column(const TablesArgs& a, int64_t begin, int64_t end) {
  alignas(64) const float zeros[Tables::kScratch] = {};
  const int64_t d = a.m * a.dsub, width = a.m * a.ks;
  for (int64_t j = 0; j < a.m; ++j)
    for (int64_t c = 0; c < a.ks; c += Tables::kScratch) {
      const int64_t here = a.ks - c < Tables::kScratch ? a.ks - c : Tables::kScratch;
      const float* columns = a.codebooks + j * a.ks * a.dsub + c;
      const Strips strips{a.q + begin * d + j * a.dsub, d, columns, a.ks, kStrip, a.dsub, zeros, a.out + begin * width + j * a.ks + c, width};
      rows_by_strips<kL2>(strips, end - begin, here / kStrip);
    }
}

template <bool kL2>
inline void tables_of_rows(const TablesArgs& a, int64_t begin, int64_t end, float* scratch) {
  constexpr int64_t kWidth = Tables::kScratch, kStrips = kWidth / kStrip, kRows = 64;
  alignas(64) const float zeros[kWidth] = {};
  alignas(64) float last[kRows * kStrip];
  const int64_t d = a.m * a.dsub, width = a.m * a.ks;
  for (int64_t j = 0; j < a.m; ++j) {
    for (int64_t c = 0; c < a.ks; c += kWidth) {
      const int64_t here = a.ks - c < kWidth ? a.ks - c : kWidth, strips = here / kStrip, rest = here % kStrip;
      for (int64_t s = 0; s < kStrips && s * kStrip < here; ++s) {
        const int64_t some = here - s * kStrip < kStrip ? here - s * kStrip : kStrip;
        float* strip = scratch + s * a.dsub * kStrip;
        if (some < kStrip) __builtin_memset(strip, 0, static_cast<size_t>(a.dsub * kStrip) * sizeof(float));
        transpose(a.codebooks + (j * a.ks + c + s * kStrip) * a.dsub, a.dsub, some, a.dsub, strip, kStrip);
      }
      for (int64_t row = begin; row < end; row += kRows) {
        const int64_t rows = end - row < kRows ? end - row : kRows;
        const float* x = a.q + row * d + j * a.dsub;
        float* out = a.out + row * width + j * a.ks + c;
        const int64_t stride = a.dsub * kStrip;
        rows_by_strips<kL2>(Strips{x, d, scratch, kStrip, stride, a.dsub, zeros, out, width}, rows, strips);
        if (!rest) continue;
        rows_by_strips<kL2>(Strips{x, d, scratch + strips * stride, kStrip, 0, a.dsub, zeros, last, kStrip}, rows, 1);
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t i = 0; i < rest; ++i) out[r * width + strips * kStrip + i] = last[r * kStrip + i];
      }
    }
  }
}

void tables_rows(const TablesArgs& a, int64_t begin, int64_t end, float* scratch) {
  if (a.by_column) return a.l2 ? tables_by_column<true>(a, begin, end) : tables_by_column<false>(a, begin, end);
  return a.l2 ? tables_of_rows<true>(a, begin, end, scratch) : tables_of_rows<false>(a, begin, end, scratch);
}
