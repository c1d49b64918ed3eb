// Norms of some rows, one after the other: so the reads form one stream, which the processor fetches ahead at the memory's full rate;
// the end of a row's chains overlaps with the start of the next. Included inside a target region, after the region's vectors.

void norms_of_rows(const NormsArgs& a, int64_t begin, int64_t end) {
  const int64_t whole = a.d / 8 * 8;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = a.x + row * a.d;
    Squares sums = Squares::zero();
    for (int64_t t = 0; t < whole; t += 8) sums.add(x + t);
    double lane[8];
    sums.store(lane);
    for (int64_t t = whole; t < a.d; ++t) {
      const double value = x[t];
      lane[t - whole] += value * value;
    }
    const double even = (lane[0] + lane[4]) + (lane[2] + lane[6]), odd = (lane[1] + lane[5]) + (lane[3] + lane[7]);
    a.out[row] = static_cast<float>(__builtin_sqrt(even + odd));
  }
}
