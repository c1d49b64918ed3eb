// The arithmetic that project, tables, assign and encode_pq share: chains of fused multiply-adds over t, in order, for a few rows times
// a few vectors of columns at once. A column's chain does not depend on its neighbours, so results are the same for any vector width.
// Included inside a target region and an anonymous namespace, after the region's vectors.
//
// Columns come in strips of 16 floats: strip s of term t starts at columns + s * stride + t * step.

constexpr int kStrip = 16;
constexpr int kPerStrip = kStrip / Floats::kLanes;

// sum[r][v] goes on by `steps` terms: x * y where kDifference is false, else (x - y)^2 with the difference rounded.
// x: rows[r * row_stride + t]; y: vector v of the columns. Always inlined, so that the sums stay in registers.
template <bool kDifference, int R, int V>
[[gnu::always_inline]] inline void chains(const float* rows, int64_t row_stride, const float* columns, int64_t step,
                                          int64_t stride, int64_t steps, Floats (&sum)[R][V]) {
  for (int64_t t = 0; t < steps; ++t, columns += step) {
    Floats y[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) y[v] = Floats::load(columns + v / kPerStrip * stride + v % kPerStrip * Floats::kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Floats x = Floats::set1(rows[r * row_stride + t]);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) {
        const Floats e = x - y[v];
        sum[r][v] = kDifference ? fma(e, e, sum[r][v]) : fma(x, y[v], sum[r][v]);
      }
    }
  }
}

// out[j * out_stride + i] = in[i * in_stride + j], for i < rows, j < columns.
inline void transpose(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  int64_t i = 0;
  for (; i + 4 <= rows; i += 4) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) transpose4(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
    for (; j < columns; ++j)
      for (int r = 0; r < 4; ++r) out[j * out_stride + i + r] = in[(i + r) * in_stride + j];
  }
  for (; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}
