// Nearest centroids of up to 32 rows, for assign and encode_pq: rows are lanes, so no lane is ever without a row's chain and no sum
// crosses lanes; centroids are read where they are. Included after core/chains.inl.
//
// The definition's sums of squared differences take two instructions a term. Products take one: the nearest centroid is that of largest
// <x, c> - |c|^2 / 2, unless roundings, which have a bound, might have hidden another; rows for which they might are done by differences.

constexpr int kNearestRows = 32;
constexpr int64_t kFewRows = 8;      // in doubt: of a tile, that are settled one by one
constexpr int64_t kFewNearest = 16;  // centroids that one of them is measured from

// Rows x[i * stride + t] as a tile [d][32]; lanes of two vectors that have no row repeat the last one.
inline void fill_tile(const float* x, int64_t stride, int64_t rows, int64_t d, float* tile) {
  transpose(x, stride, rows, d, tile, kNearestRows);
  const int64_t lanes = (rows + 2 * Floats::kLanes - 1) / (2 * Floats::kLanes) * (2 * Floats::kLanes);
  for (int64_t i = rows; i < lanes; ++i)
    for (int64_t t = 0; t < d; ++t) tile[t * kNearestRows + i] = tile[t * kNearestRows + rows - 1];
}

template <int C, int V>
[[gnu::always_inline]] inline void offer_centroids(const float* tile, const float* centroids, int64_t c, int64_t d, int shift,
                                                   Floats (&best)[V], Ints (&label)[V]) {
  Floats sum[C][V];
#pragma GCC unroll 16
  for (int i = 0; i < C; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[i][v] = Floats::zero();
  chains<true, C, V>(centroids + c * d, d, tile, kNearestRows, kStrip, d, sum);
#pragma GCC unroll 16
  for (int i = 0; i < C; ++i) {
    const Ints here = Ints::set1(static_cast<uint32_t>(c + i) << shift);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) keep_smaller(sum[i][v], here, best[v], label[v]);
  }
}

// V vectors of rows from `tile` on against all centroids [k][d]. Labels come shifted left. Ties, and rows for which every distance is
// infinite, go to the lowest label.
template <int V>
inline void nearest(const float* tile, const float* centroids, int64_t k, int64_t d, int shift, Floats (&best)[V], Ints (&label)[V]) {
  constexpr int C = Floats::kLanes == 8 ? 4 : Floats::kLanes == 1 ? 1 : 8;
  for (int v = 0; v < V; ++v) {
    best[v] = Floats::set1(__builtin_inff());
    label[v] = Ints::zero();
  }
  int64_t c = 0;
  for (; c + C <= k; c += C) offer_centroids<C, V>(tile, centroids, c, d, shift, best, label);
  for (; c < k; ++c) offer_centroids<1, V>(tile, centroids, c, d, shift, best, label);
}

// The tile's rows against all centroids by differences: labels[i] |= row i's label shifted left; distances, unless nullptr, get the
// smallest. Both hold 32 numbers.
inline void nearest_by_differences(const float* tile, int64_t rows, const float* centroids, int64_t k, int64_t d, int shift,
                                   uint32_t* labels, float* distances) {
  constexpr int kLanes = Floats::kLanes;
  for (int64_t i = 0; i < rows;) {
    Floats best[2];
    Ints label[2];
    const int vectors = rows - i > kLanes ? 2 : 1;
    if (vectors == 2) {
      nearest<2>(tile + i, centroids, k, d, shift, best, label);
    } else {
      Floats one[1];
      Ints one_label[1];
      nearest<1>(tile + i, centroids, k, d, shift, one, one_label);
      best[0] = one[0];
      label[0] = one_label[0];
    }
    for (int v = 0; v < vectors; ++v, i += kLanes) {
      (label[v] | Ints::load(labels + i)).store(labels + i);
      if (distances) best[v].store(distances + i);
    }
  }
}

template <int C, int V>
[[gnu::always_inline]] inline void offer_products(const float* tile, const float* centroids, const float* starts, int64_t c, int64_t d,
                                                  Floats (&best)[V], Floats (&second)[V], Ints (&label)[V]) {
  Floats sum[C][V];
#pragma GCC unroll 16
  for (int i = 0; i < C; ++i)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[i][v] = Floats::set1(starts[c + i]);
  chains<false, C, V>(centroids + c * d, d, tile, kNearestRows, kStrip, d, sum);
#pragma GCC unroll 16
  for (int i = 0; i < C; ++i) {
    const Ints here = Ints::set1(static_cast<uint32_t>(c + i));
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) keep_two_larger(sum[i][v], here, best[v], second[v], label[v]);
  }
}

// Row i's distance from centroid labels[i], by the definition, eight chains side by side.
inline void distances_of(const float* tile, int64_t rows, const float* centroids, const uint32_t* labels, int64_t d, float* distances) {
  for (int64_t i = 0; i < rows; i += 8) {
    const float* c[8];
    int64_t row[8];
    float sum[8] = {};
    for (int u = 0; u < 8; ++u) {
      row[u] = i + u < rows ? i + u : i;
      c[u] = centroids + labels[row[u]] * d;
    }
    for (int64_t t = 0; t < d; ++t)
      for (int u = 0; u < 8; ++u) {
        const float e = tile[t * kNearestRows + row[u]] - c[u][t];
        sum[u] = __builtin_fmaf(e, e, sum[u]);
      }
    for (int u = 0; u < 8 && i + u < rows; ++u) distances[i + u] = sum[u];
  }
}

// Row x[d] of which the products' best sum is not far enough ahead: of the centroids whose sums, taken along d here, are not below `floor`,
// the nearest by the definition. Returns whether these were few enough to measure, and then sets label and distance.
inline bool nearest_of_few(const float* x, float floor, const float* centroids, const float* starts, int64_t k, int64_t d,
                           uint32_t& label, float& distance) {
  constexpr int C = 8;  // chains side by side
  const int64_t whole = d / Floats::kLanes * Floats::kLanes;
  int64_t found[kFewNearest], few = 0;
  for (int64_t c = 0; c < k; c += C) {
    const int64_t some = k - c < C ? k - c : C;
    const float* y[C];
    Floats sum[C];
    for (int i = 0; i < C; ++i) {
      y[i] = centroids + (c + (i < some ? i : 0)) * d;
      sum[i] = Floats::zero();
    }
    for (int64_t t = 0; t < whole; t += Floats::kLanes) {
      const Floats xt = Floats::load(x + t);
#pragma GCC unroll 16
      for (int i = 0; i < C; ++i) sum[i] = fma(xt, Floats::load(y[i] + t), sum[i]);
    }
    for (int64_t i = 0; i < some; ++i) {
      float lanes[Floats::kLanes];
      sum[i].hadamard().store(lanes);  // the first is the lanes' sum
      for (int64_t t = whole; t < d; ++t) lanes[0] = __builtin_fmaf(x[t], y[i][t], lanes[0]);
      if (lanes[0] + starts[c + i] < floor) continue;
      if (few == kFewNearest) return false;
      found[few++] = c + i;
    }
  }
  float exact[kFewNearest] = {};
  for (int64_t t = 0; t < d; ++t)
    for (int64_t i = 0; i < few; ++i) {
      const float e = x[t] - centroids[found[i] * d + t];
      exact[i] = __builtin_fmaf(e, e, exact[i]);
    }
  int64_t best = 0;
  for (int64_t i = 1; i < few; ++i)
    if (exact[i] < exact[best]) best = i;
  label = static_cast<uint32_t>(found[best]);
  distance = exact[best];
  return true;
}

// The same as nearest_by_differences, by products. starts, largest: of core/centroids.hpp; spare: float[d * 32].
inline void nearest_by_products(const float* tile, int64_t rows, const float* centroids, const float* starts, double largest, int64_t k,
                                int64_t d, int shift, uint32_t* labels, float* distances, float* spare) {
  constexpr int V = 2;
  constexpr int C = Floats::kLanes == 16 ? 12 : Floats::kLanes == 8 ? 4 : Floats::kLanes == 1 ? 1 : 8, kSome = Floats::kLanes == 1 ? 1 : 4;
  alignas(64) float best_of[kNearestRows], second_of[kNearestRows], square_of[kNearestRows];
  alignas(64) uint32_t label_of[kNearestRows];
  for (int64_t i = 0; i < rows; i += V * Floats::kLanes) {
    Floats best[V], second[V], square[V];
    Ints label[V];
    for (int v = 0; v < V; ++v) {
      best[v] = second[v] = Floats::set1(-__builtin_inff());
      square[v] = Floats::zero();
      label[v] = Ints::zero();
    }
    for (int64_t t = 0; t < d; ++t)
      for (int v = 0; v < V; ++v) {
        const Floats x = Floats::load(tile + t * kNearestRows + i + v * Floats::kLanes);
        square[v] = fma(x, x, square[v]);
      }
    int64_t c = 0;
    for (; c + C <= k; c += C) offer_products<C, V>(tile + i, centroids, starts, c, d, best, second, label);
    for (; c + kSome <= k; c += kSome) offer_products<kSome, V>(tile + i, centroids, starts, c, d, best, second, label);
    for (; c < k; ++c) offer_products<1, V>(tile + i, centroids, starts, c, d, best, second, label);
    for (int v = 0; v < V; ++v) {
      best[v].store(best_of + i + v * Floats::kLanes);
      second[v].store(second_of + i + v * Floats::kLanes);
      square[v].store(square_of + i + v * Floats::kLanes);
      label[v].store(label_of + i + v * Floats::kLanes);
    }
  }
  // With u = 2^-24 and |x| |c| <= (|x|^2 + |c|^2) / 2, a sum errs by at most e = (d + 4) u (|x|^2 / 2 + |c|^2), a distance of the definition
  // by the factor g = (d + 4) u. Where the best sum is ahead of the second by more than 2 e + g (the distances of both), no other
  // centroid's distance can be as small. The distance of the best is |x|^2 - 2 best + 2 e at most; numbers among float32's smallest err
  // by 2^-150 an operation.
  const double u = 0x1.1p-24 * static_cast<double>(d + 4), tiny = 0x1p-146 * static_cast<double>(d + 4);
  const float of_square = static_cast<float>(2 * u * 0.5 + 2.2 * u), of_best = static_cast<float>(4.4 * u);
  const float always = static_cast<float>(2.5 * u * largest + tiny);
  int64_t doubtful[kNearestRows], doubts = 0, left = 0;
  float floors[kNearestRows];
  for (int64_t i = 0; i < rows; ++i) {
    const float size = best_of[i] < 0 ? -best_of[i] : best_of[i], margin = of_square * square_of[i] + of_best * size + always;
    const bool bounded = square_of[i] < 1e36f && u < 0x1p-4;
    doubtful[doubts] = i;
    floors[doubts] = bounded ? best_of[i] - margin : -__builtin_inff();
    doubts += !(bounded && best_of[i] - second_of[i] > margin);
  }
  if (distances) distances_of(tile, rows, centroids, label_of, d, distances);
  for (int64_t j = 0; j < doubts; ++j) {
    const int64_t i = doubtful[j];
    float distance;
    for (int64_t t = 0; t < d; ++t) spare[t] = tile[t * kNearestRows + i];
    if (doubts <= kFewRows && floors[j] > -__builtin_inff() &&
        nearest_of_few(spare, floors[j], centroids, starts, k, d, label_of[i], distance)) {
      if (distances) distances[i] = distance;
    } else {
      doubtful[left++] = i;
    }
  }
  if (left) {
    uint32_t found[kNearestRows] = {};
    float exact[kNearestRows];
    for (int64_t t = 0; t < d; ++t)
      for (int64_t i = 0; i < kNearestRows; ++i)
        spare[t * kNearestRows + i] = tile[t * kNearestRows + doubtful[i < left ? i : left - 1]];
    nearest_by_differences(spare, left, centroids, k, d, 0, found, exact);
    for (int64_t i = 0; i < left; ++i) {
      label_of[doubtful[i]] = found[i];
      if (distances) distances[doubtful[i]] = exact[i];
    }
  }
  for (int64_t i = 0; i < rows; ++i) labels[i] |= label_of[i] << shift;
}
