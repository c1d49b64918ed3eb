// Labels of rows on grids of their own for every column. Included inside a target region; compilers vectorise the inner loop.

constexpr int64_t kTogether = 64;  // values

inline void label_values(const float* x, const float* low, const float* step, float most, int64_t count, uint8_t* out) {
  constexpr float kWhole = 8388608.0f;  // 2^23: adding it rounds to a whole number, ties to even, which are the sum's lowest bits
  float labels[kTogether] = {};
  uint32_t bits[kTogether];
  for (int64_t t = 0; t < count; ++t) {
    const float label = (x[t] - low[t]) / step[t], some = label > 0 ? label : 0;
    labels[t] = (some < most ? some : most) + kWhole;
  }
  __builtin_memcpy(bits, labels, sizeof bits);
  for (int64_t t = 0; t < count; ++t) out[t] = static_cast<uint8_t>(bits[t]);
}

void label_rows(const ScalarLabelsArgs& a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const float* x = a.x + row * a.d;
    uint8_t* out = a.out + row * a.d;
    int64_t t = 0;
    for (; t + kTogether <= a.d; t += kTogether) label_values(x + t, a.low + t, a.step + t, a.most, kTogether, out + t);
    if (t < a.d) label_values(x + t, a.low + t, a.step + t, a.most, a.d - t, out + t);
  }
}
