// x @ matrix + offset for some rows: terms in pieces of 512, so that the strips in use stay in the L2 cache; between pieces a chain
// waits in `out`, which loses nothing. Included inside a target region, after core/strips.inl.

void project_rows(const ProjectArgs& a, int64_t begin, int64_t end) {
  constexpr int64_t kTerms = 512, kRows = 64;
  const int64_t strips = a.p / kStrip, rest = a.p % kStrip;
  alignas(64) float last[kRows * kStrip];
  for (int64_t row = begin; row < end; row += kRows) {
    const int64_t rows = end - row < kRows ? end - row : kRows;
    int64_t t = 0;
    do {
      const int64_t steps = a.d - t < kTerms ? a.d - t : kTerms;
      const float* x = a.x + row * a.d + t;
      const Strips whole{x, a.d, a.strips + t * a.step, a.step, a.stride, steps, t ? nullptr : a.offset, a.out + row * a.p, a.p};
      rows_by_strips<false>(whole, rows, strips);
      if (rest) {
        const Strips part{x, a.d, a.last + t * kStrip, kStrip, 0, steps, t ? nullptr : a.last_offset, last, kStrip};
        rows_by_strips<false>(part, rows, 1);
      }
      t += steps;
    } while (t < a.d);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < rest; ++c) a.out[(row + r) * a.p + strips * kStrip + c] = last[r * kStrip + c];
  }
}
