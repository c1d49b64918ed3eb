// Norms of some rows, four at a time so that their chains of additions overlap. Included inside a target region, after the region's
// vectors.

template <int R>
inline void norms_of(const float* x, int64_t d, float* out) {
  Squares sums[R];
  for (int r = 0; r < R; ++r) sums[r] = Squares::zero();
  const int64_t whole = d / 8 * 8;
  for (int64_t t = 0; t < whole; t += 8)
    for (int r = 0; r < R; ++r) sums[r].add(x + r * d + t);
  for (int r = 0; r < R; ++r) {
    if (whole < d) {  // zeros leave a sum as it is
      float last[8] = {};
      for (int64_t t = whole; t < d; ++t) last[t - whole] = x[r * d + t];
      sums[r].add(last);
    }
    double lane[8];
    sums[r].store(lane);
    const double even = (lane[0] + lane[4]) + (lane[2] + lane[6]), odd = (lane[1] + lane[5]) + (lane[3] + lane[7]);
    out[r] = static_cast<float>(__builtin_sqrt(even + odd));
  }
}

void norms_of_rows(const NormsArgs& a, int64_t begin, int64_t end) {
  int64_t row = begin;
  for (; row + 4 <= end; row += 4) norms_of<4>(a.x + row * a.d, a.d, a.out + row);
  for (; row < end; ++row) norms_of<1>(a.x + row * a.d, a.d, a.out + row);
}
