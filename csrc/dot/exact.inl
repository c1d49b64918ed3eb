// Exact sums of single rows, as vecpress/ops/dot.py defines them. Included after the planes' unpacking (pack_codes/planes.inl).

// A row's exact sum, by the definition: 16 chains of dimensions, added in halves.
struct RowSum {
  RowSum(const Scan& s, int64_t q, const uint8_t* block, int64_t r)
      : query(static_cast<const float*>(s.operand) + q * s.m), distances(s.distances), stretch(s.distances ? factor_of(s.stretch, block, r) : 1.0f) {
    for (int i = 0; i < 16; i += Floats::kLanes) part[i / Floats::kLanes] = Floats::zero();
  }

  // Levels of the next dimensions, 16 but at the end.
  void add(const float* level, int64_t count) {
    if (count < 16) return add_last(level, count);
    for (int i = 0; i < 16; i += Floats::kLanes) {
      Floats& sum = part[i / Floats::kLanes];
      const Floats y = Floats::load(query + i), z = Floats::load(level + i);
      if (distances) {
        const Floats e = y - z * Floats::set1(stretch);
        sum = fma(e, e, sum);
      } else {
        sum = fma(y, z, sum);
      }
    }
    query += 16;
  }

  float sum() const {
    alignas(64) float total[16];
    for (int i = 0; i < 16; i += Floats::kLanes) part[i / Floats::kLanes].store(total + i);
    for (int half = 8; half > 0; half /= 2)
      for (int j = 0; j < half; ++j) total[j] = total[j] + total[j + half];
    return distances ? -total[0] : total[0];
  }

 private:
  const float* query;
  const bool distances;
  const float stretch;
  Floats part[16 / Floats::kLanes];

  void add_last(const float* level, int64_t count) {
    alignas(64) float total[16];
    for (int i = 0; i < 16; i += Floats::kLanes) part[i / Floats::kLanes].store(total + i);
    for (int64_t i = 0; i < count; ++i) {
      const float y = query[i], z = level[i], e = y - z * stretch;
      total[i] = distances ? __builtin_fmaf(e, e, total[i]) : __builtin_fmaf(y, z, total[i]);
    }
    for (int i = 0; i < 16; i += Floats::kLanes) part[i / Floats::kLanes] = Floats::load(total + i);
  }
};

// What row r's labels add to its sum.
inline float with_labels(const Scan& s, int64_t q, const uint8_t* block, int64_t r, float sum) {
  const float* table = s.label_tables + q * s.labels * 256;
  for (int64_t v = 0; v < s.labels; ++v, table += 256) sum = sum + table[block[(s.head + v) * kBlock + r]];
  return sum;
}

struct NumberSums {
  static constexpr int64_t kPiece = 512;  // dimensions of which a row's bytes are gathered at a time

  static void exact(const Scan& s, int64_t q, const int64_t (&rows)[8], int count, float (&sums)[8]) {
    for (int i = 0; i < count; ++i) sums[i] = exact_row(s, q, rows[i]);
  }

  // From the packed codes.
  [[gnu::noinline]] static float exact_row(const Scan& s, int64_t q, int64_t row) {
    const uint8_t* payload = s.block(row / kBlock) + s.head * kBlock + row % kBlock;
    const float* level = s.levels->level;
    RowSum sum(s, q, s.block(row / kBlock), row % kBlock);
    uint8_t bytes[kPiece], labels[kPiece];
    for (int64_t t0 = 0; t0 < s.m; t0 += kPiece) {
      const int64_t d = s.m - t0 < kPiece ? s.m - t0 : kPiece;
      const uint8_t* plane = payload;
      for (int p = 0; p < 3 && kPlanes[s.n_bits][p]; ++p) {
        const int width = kPlanes[s.n_bits][p];
        const int64_t count = plane_size(d, width), from = t0 * width / 8;
        for (int64_t j = 0; j < count; ++j) bytes[j] = plane[(from + j) * kBlock];
        if (p)
          unpack_plane_of<false>(width, bytes, d, labels);
        else
          unpack_plane_of<true>(width, bytes, d, labels);
        plane += plane_size(s.m, width) * kBlock;
      }
      for (int64_t t = 0; t < d; t += 16) {
        alignas(64) float x[16];
        const int64_t left = d - t < 16 ? d - t : 16;
        for (int64_t i = 0; i < left; ++i) x[i] = level[labels[t + i]];
        sum.add(x, left);
      }
    }
    return sum.sum();
  }
};
