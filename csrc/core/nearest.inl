// Nearest centroids of up to 32 rows, for assign and encode_pq: rows are lanes, so no lane is ever without a row's chain and no sum
// crosses lanes; centroids are read where they are. Included after core/chains.inl.

constexpr int kNearestRows = 32;

// Rows x[i * stride + t] as a tile [d][32]; lanes that have no row repeat the last one.
inline void fill_tile(const float* x, int64_t stride, int64_t rows, int64_t d, float* tile) {
  transpose(x, stride, rows, d, tile, kNearestRows);
  const int64_t lanes = (rows + Floats::kLanes - 1) / Floats::kLanes * Floats::kLanes;
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

// The tile's rows against all centroids: labels[i] |= row i's label shifted left; distances, unless nullptr, get the smallest. Both
// hold 32 numbers.
inline void nearest_of_tile(const float* tile, int64_t rows, const float* centroids, int64_t k, int64_t d, int shift,
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
