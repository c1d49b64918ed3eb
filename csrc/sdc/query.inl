// Queries of `sdc`, and which of a code's bits belong to dimensions. Included inside a target region and an anonymous namespace,
// after core/counts.inl and core/table_scan.inl.
//
// Whatever the form, a row's number is (sum + most) / 2 with most = d M^2: a whole number from 0 on.

inline const uint8_t* query_code(const Scan& s, int64_t q) { return static_cast<const uint8_t*>(s.operand) + q * s.payload; }

inline uint32_t most_of(const Scan& s) {
  const int64_t top = (1 << s.n_bits) - 1;
  return static_cast<uint32_t>(s.m * top * top);
}

// Bits of byte j that belong to dimensions below d.
inline int inside_byte(const Scan& s, int64_t j) {
  const int64_t left = (s.m - j * (8 / s.n_bits)) * s.n_bits;
  if (left >= 8) return 0xFF;
  return s.n_bits == 4 ? 0x0F : 0xFF << (8 - left) & 0xFF;
}

inline float sum_of(const Scan& s, int64_t q, uint32_t number) {
  return static_cast<float>(static_cast<int32_t>(2 * number - most_of(s))) * s.weights[q];
}

// Scores that rise with the sum and depend on nothing else.
struct SumScores {
  static uint32_t most(const Scan& s) { return most_of(s); }
  static float of(const Scan& s, int64_t q, uint32_t number) { return sum_of(s, q, number) * s.scale.value + s.constant[q]; }
  static double number(const Scan& s, int64_t q, float score) {
    return ((static_cast<double>(score) - s.constant[q]) / s.scale.value / s.weights[q] + most(s)) * 0.5;
  }
};
