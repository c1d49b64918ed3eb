// Grid points of some rows, one after the other. Included inside a target region, after the region's try_scales().
//
// try_scales(a, n, scales, shift, most, product, square): for four scales the sums of a[t] m[t] and m[t]^2 over n numbers, a whole
// number of kPad, m[t] = min((a[t] * scale >> 16 + shift) | 1, most). Sums of 32 bits hold kChunk numbers.

constexpr int64_t kChunk = 1024;
constexpr int kTogether = 4, kFine = 32, kSmall = 32;

struct Scales {
  int64_t low, high, count;
  int64_t at(int64_t j) const { return low + j * (high - low) / (count - 1); }
  int64_t step() const { return (high - low) / (count - 1); }
};

struct Best {
  int64_t scale;
  double gain;
};

inline Best best_of(const int16_t* a, int64_t d, int64_t padded, int n_bits, Scales scales, Best best) {
  const int most = (1 << n_bits) - 1;
  for (int64_t j = 0; j < scales.count; j += kTogether) {
    uint16_t four[kTogether];
    int64_t product[kTogether] = {}, square[kTogether] = {};
    for (int i = 0; i < kTogether; ++i) four[i] = static_cast<uint16_t>(scales.at(j + i));
    for (int64_t t = 0; t < padded; t += kChunk)
      try_scales(a + t, padded - t < kChunk ? padded - t : kChunk, four, 13 - n_bits, most, product, square);
    for (int i = 0; i < kTogether; ++i) {
      const double p = static_cast<double>(product[i]);
      const double gain = p * p / static_cast<double>(square[i] - (padded - d));  // padding counts 1 each
      if (gain > best.gain) best = {four[i], gain};
    }
  }
  return best;
}

inline int64_t best_scale(const int16_t* a, int64_t d, int64_t padded, int n_bits) {
  constexpr double kNormal[9] = {0, 0, 1.0, 1.7, 2.95, 5.45, 10.1, 19.5, 39.0};
  constexpr int64_t kCoarse[9] = {0, 0, 32, 32, 48, 96, 128, 256, 512};
  Scales scales{1, 65535, 1024};
  if (d >= kSmall) {
    int64_t squares = 0;
    for (int64_t t = 0; t < padded; ++t) squares += static_cast<int32_t>(a[t]) * a[t];
    const double spread = __builtin_sqrt(static_cast<double>(squares) / static_cast<double>(d));
    const double normal = kNormal[n_bits] * static_cast<double>(1 << (30 - n_bits)) / spread;
    const double low = normal < 16384.0 ? normal : 16384.0, high = (normal > 16384.0 ? normal : 16384.0) * 4 / 3;
    scales = {static_cast<int64_t>(0.75 * low), static_cast<int64_t>(high < 65535.0 ? high : 65535.0), kCoarse[n_bits]};
  }
  const Best best = best_of(a, d, padded, n_bits, scales, {scales.low, -1.0});
  const int64_t low = best.scale - scales.step(), high = best.scale + scales.step();
  const Scales fine{low > 1 ? low : 1, high < 65535 ? high : 65535, kFine};
  return best_of(a, d, padded, n_bits, fine, best).scale;
}

// Sums of 8 lanes in the order of `norms`.
inline double by_lanes(const double* lane) {
  const double even = (lane[0] + lane[4]) + (lane[2] + lane[6]), odd = (lane[1] + lane[5]) + (lane[3] + lane[7]);
  return even + odd;
}

// a: the magnitudes, each becomes twice that of the grid's point with the sign of y.
inline void finish(const float* y, const float* along, int16_t* a, int64_t d, int64_t scale, int n_bits, uint8_t* labels,
                   double* sums) {
  const int shift = 29 - n_bits, most = (1 << n_bits) - 1;
  int64_t square = 0;
  for (int64_t t = 0; t < d; ++t) {
    const int32_t m = static_cast<int32_t>(static_cast<uint32_t>(a[t]) * static_cast<uint32_t>(scale) >> shift) | 1;
    const int32_t capped = m < most ? m : most;
    const int32_t doubled = y[t] > 0 ? capped : -capped;
    square += capped * capped;
    a[t] = static_cast<int16_t>(doubled);
    labels[t] = static_cast<uint8_t>((doubled + most) >> 1);
  }
  double lanes[4][8] = {};
  const auto add = [&](int64_t t, int l) {
    const double value = y[t + l], point = 0.5 * a[t + l], w = along[t + l];
    lanes[0][l] += value * value;
    lanes[1][l] += value * point;
    lanes[2][l] += value * w;
    lanes[3][l] += point * w;
  };
  int64_t t = 0;
  for (; t + 8 <= d; t += 8)
    for (int l = 0; l < 8; ++l) add(t, l);
  for (int l = 0; t + l < d; ++l) add(t, l);
  for (int i = 0; i < 4; ++i) sums[i] = by_lanes(lanes[i]);
  sums[4] = 0.25 * static_cast<double>(square);
}

void encode_grid_rows(const EncodeGridArgs& args, int64_t begin, int64_t end, int16_t* a) {
  const int64_t d = args.d, padded = (d + EncodeGrid::kPad - 1) / EncodeGrid::kPad * EncodeGrid::kPad;
  for (int64_t row = begin; row < end; ++row) {
    const float* y = args.y + row * d;
    int32_t bits = 0;  // of the largest magnitude: those of floats are ordered as they are
    for (int64_t t = 0; t < d; ++t) {
      int32_t x;
      __builtin_memcpy(&x, y + t, 4);
      x &= 0x7fffffff;
      bits = x > bits ? x : bits;
    }
    float largest;
    __builtin_memcpy(&largest, &bits, 4);
    int64_t scale = 0;
    if (args.n_bits > 1 && largest >= 0x1p-100f) {
      const float factor = 32767.0f / largest;
      for (int64_t t = 0; t < d; ++t) a[t] = static_cast<int16_t>(static_cast<int32_t>(__builtin_fabsf(y[t]) * factor + 0.5f));
      for (int64_t t = d; t < padded; ++t) a[t] = 0;
      scale = best_scale(a, d, padded, args.n_bits);
    } else {
      for (int64_t t = 0; t < d; ++t) a[t] = 0;
    }
    finish(y, args.along, a, d, scale, args.n_bits, args.labels + row * d, args.sums + row * EncodeGrid::kSums);
  }
}
