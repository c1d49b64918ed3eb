// Bits of some rows, 64 values at a time. Included inside a target region, after core/runs.inl.

// The first `bytes` bytes of the bits, byte 0 first whatever the machine's byte order.
inline void put_bits(uint64_t bits, int64_t bytes, uint8_t* out) {
  for (int64_t b = 0; b < bytes; ++b) out[b] = static_cast<uint8_t>(bits >> (8 * b));
}

int64_t pack_rows(const PackBitsArgs& a, int64_t begin, int64_t end) {
  const int64_t size = (a.d + 7) / 8, whole = a.d / 64 * 64, rest = a.d - whole;
  float thresholds[64], values[64];  // for rows of less than 64 values
  for (int i = 0; i < 64; ++i) thresholds[i] = values[i] = 0;
  if (!whole)
    for (int64_t i = 0; i < rest; ++i) thresholds[i] = a.thresholds[i];
  int64_t first = a.n;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = a.x + row * a.d;
    uint8_t* out = a.out + row * size;
    Magnitudes magnitudes = Magnitudes::zero();
    for (int64_t t = 0; t < whole; t += 64) {
      fetch_ahead(x + t);
      add_magnitudes(x + t, magnitudes);
      put_bits(greater(x + t, a.thresholds + t), 8, out + t / 8);
    }
    if (rest) {
      uint64_t bits;
      if (whole) {  // the row's last 64 values once more; as one number, the first in its highest bit, those already packed shift out
        add_magnitudes(x + a.d - 64, magnitudes);
        bits = __builtin_bswap64(greater(x + a.d - 64, a.thresholds + a.d - 64));
        bits = __builtin_bswap64(bits << (64 - rest));
      } else {
        for (int64_t i = 0; i < rest; ++i) values[i] = x[i];
        add_magnitudes(values, magnitudes);
        bits = greater(values, thresholds);
      }
      put_bits(bits, (rest + 7) / 8, out + whole / 8);
    }
    if (row < first && magnitudes.beyond(a.largest)) first = row;
  }
  return first;
}
