// Exact scores of uncompressed rows. A block is a tile [d][64]: lanes are rows, so every row's chain runs along d in order whatever the
// vector width. Included inside a target region and an anonymous namespace, after the region's vectors and core/scan.inl.

template <bool kHalf, bool kL2>
struct FlatRows {
  static constexpr int kVectors = 4;                             // independent chains of rows
  static constexpr int kQueries = Floats::kLanes == 8 ? 2 : 4;   // AVX2 has 16 registers, AVX-512 and NEON have 32

  static Floats load(const uint8_t* payload, int64_t element) {
    if (kHalf) return Floats::load_half(reinterpret_cast<const uint16_t*>(payload + 2 * element));
    return Floats::load(reinterpret_cast<const float*>(payload + 4 * element));
  }

  template <int G>
  static void sums(const Scan& s, const uint8_t* payload, int64_t q, float (*out)[kBlock]) {
    const float* queries = static_cast<const float*>(s.operand) + q * s.m;
    for (int r = 0; r < kBlock; r += kVectors * Floats::kLanes) {
      Floats total[G][kVectors];
      for (int g = 0; g < G; ++g)
        for (int v = 0; v < kVectors; ++v) total[g][v] = Floats::zero();
      for (int64_t t = 0; t < s.m; ++t) {
        Floats x[kVectors];
        for (int v = 0; v < kVectors; ++v) x[v] = load(payload, t * kBlock + r + v * Floats::kLanes);
        for (int g = 0; g < G; ++g) {
          const Floats y = Floats::set1(queries[g * s.m + t]);
          for (int v = 0; v < kVectors; ++v) {
            const Floats e = y - x[v];
            total[g][v] = kL2 ? fma(e, e, total[g][v]) : fma(y, x[v], total[g][v]);
          }
        }
      }
      for (int g = 0; g < G; ++g)
        for (int v = 0; v < kVectors; ++v)
          (kL2 ? negative(total[g][v]) : total[g][v]).store(out[g] + r + v * Floats::kLanes);
    }
  }
};

void scan_flat(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  if (s.group == 2 && s.l2) return scan_exact<FlatRows<true, true>>(s, q0, q1, b0, b1, collectors);
  if (s.group == 2) return scan_exact<FlatRows<true, false>>(s, q0, q1, b0, b1, collectors);
  if (s.l2) return scan_exact<FlatRows<false, true>>(s, q0, q1, b0, b1, collectors);
  return scan_exact<FlatRows<false, false>>(s, q0, q1, b0, b1, collectors);
}
