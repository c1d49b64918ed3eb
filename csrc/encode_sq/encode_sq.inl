// Labels of rows on grids of their own for every column, as codes, 64 values at a time. Included inside a target region, after
// core/runs.inl and pack_codes/planes.inl.

// The codes of 64 values: 8 * kBits bytes.
template <int kBits>
inline void encode_values(const float* x, const float* low, const float* step, uint8_t* out) {
  Floats labels[64 / Floats::kLanes];
#pragma GCC unroll 16
  for (int v = 0; v < 64 / Floats::kLanes; ++v) {
    const int at = v * Floats::kLanes;
    const Floats label = (Floats::load(x + at) - Floats::load(low + at)) / Floats::load(step + at);
    labels[v] = within(label, Floats::zero(), Floats::set1((1 << kBits) - 1));
  }
  if (kBits == 8) {
    store_rounded(labels, out);
  } else {
    uint8_t bytes[64];
    store_rounded(labels, bytes);
    pack_plane<uint16_t>(bytes, 64, 0, out);
  }
}

template <int kBits>
inline int64_t encode_sq_rows_of(const EncodeSqArgs& a, int64_t begin, int64_t end) {
  const int64_t size = (a.d * kBits + 7) / 8, whole = a.d / 64 * 64, rest = a.d - whole;
  float x_rest[64] = {}, low_rest[64] = {}, step_rest[64];  // a row's last values, filled up with such as have the label 0
  for (int64_t i = 0; i < 64; ++i) step_rest[i] = 1;
  for (int64_t i = 0; i < rest; ++i) {
    low_rest[i] = a.low[whole + i];
    step_rest[i] = a.step[whole + i];
  }
  int64_t first = a.n;
  in_runs(begin, end, [&](int64_t row) {
    const float* x = a.x + row * a.d;
    uint8_t* out = a.out + row * size;
    Magnitudes magnitudes = Magnitudes::zero();
    for (int64_t t = 0; t < whole; t += 64) {
      fetch_ahead(x + t);
      magnitudes.add(x + t);
      encode_values<kBits>(x + t, a.low + t, a.step + t, out + t * kBits / 8);
    }
    if (rest) {
      uint8_t codes[8 * kBits];
      for (int64_t i = 0; i < rest; ++i) x_rest[i] = x[whole + i];
      magnitudes.add(x_rest);
      encode_values<kBits>(x_rest, low_rest, step_rest, codes);
      __builtin_memcpy(out + whole * kBits / 8, codes, static_cast<size_t>(size - whole * kBits / 8));
    }
    if (row < first && magnitudes.beyond(a.largest)) first = row;
  });
  return first;
}

int64_t encode_sq_rows(const EncodeSqArgs& a, int64_t begin, int64_t end) {
  return a.n_bits == 8 ? encode_sq_rows_of<8>(a, begin, end) : encode_sq_rows_of<4>(a, begin, end);
}
