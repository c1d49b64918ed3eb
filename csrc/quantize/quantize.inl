// Labels of some values, in loops that compilers vectorise. Included inside a target region.

constexpr int64_t kCounted = 15;  // as many thresholds are compared one by one about as fast as searched
constexpr int kTogether = 64;     // values

inline void count_below(const float* x, const float* thresholds, int64_t count, uint8_t* out) {
  int32_t labels[kTogether] = {};
  for (int64_t t = 0; t < count; ++t) {
    const float threshold = thresholds[t];
    for (int i = 0; i < kTogether; ++i) labels[i] += x[i] > threshold ? 1 : 0;
  }
  for (int i = 0; i < kTogether; ++i) out[i] = static_cast<uint8_t>(labels[i]);
}

// Bisection: after the steps of 128 .. s the label lies in labels[i] .. labels[i] + s - 1. table: 255 thresholds.
inline void search_below(const float* x, const float* table, int first_step, uint8_t* out) {
  int32_t labels[kTogether] = {};
  for (int step = first_step; step; step /= 2)
    for (int i = 0; i < kTogether; ++i) labels[i] += -static_cast<int32_t>(x[i] > table[labels[i] + step - 1]) & step;
  for (int i = 0; i < kTogether; ++i) out[i] = static_cast<uint8_t>(labels[i]);
}

void quantize_values(const QuantizeArgs& a, int64_t begin, int64_t end) {
  float table[255];  // nothing is above infinity, so what fills the table up counts for no value
  for (int64_t t = 0; t < 255; ++t) table[t] = t < a.count ? a.thresholds[t] : __builtin_inff();
  int first_step = 1;
  while (2 * first_step <= a.count) first_step *= 2;
  const auto label = [&](const float* x, uint8_t* out) {
    if (a.count <= kCounted)
      count_below(x, table, a.count, out);
    else
      search_below(x, table, first_step, out);
  };
  int64_t at = begin;
  for (; at + kTogether <= end; at += kTogether) label(a.x + at, a.out + at);
  if (at == end) return;
  float rest[kTogether] = {};
  uint8_t labels[kTogether];
  for (int64_t i = at; i < end; ++i) rest[i - at] = a.x[i];
  label(rest, labels);
  for (int64_t i = at; i < end; ++i) a.out[i] = labels[i - at];
}
