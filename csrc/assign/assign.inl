// Nearest centroids of some rows, 32 rows at a time. Included inside a target region, after core/nearest.inl.

void assign_rows(const AssignArgs& a, int64_t begin, int64_t end, float* scratch) {
  static_assert(Assign::kScratch == 2 * kNearestRows, "scratch holds two tiles");
  for (int64_t row = begin; row < end; row += kNearestRows) {
    const int64_t rows = end - row < kNearestRows ? end - row : kNearestRows;
    uint32_t labels[kNearestRows] = {};
    float distances[kNearestRows];
    fill_tile(a.x + row * a.d, a.d, rows, a.d, scratch);
    if (a.starts)
      nearest_by_products(scratch, rows, a.centroids, a.starts, a.largest, a.k, a.d, 0, labels, distances, scratch + a.d * kNearestRows);
    else
      nearest_by_differences(scratch, rows, a.centroids, a.k, a.d, 0, labels, distances);
    for (int64_t i = 0; i < rows; ++i) {
      a.labels[row + i] = static_cast<int32_t>(labels[i]);
      a.distances[row + i] = distances[i];
    }
  }
}
