// Sums of the rows of each label. A thread has some of the labels and passes over all rows, so the order of additions is that of the rows
// for any number of threads. Included inside a target region; compilers vectorise the inner loop, whose lanes are columns.

void sum_labels(const LabelSumsArgs& a, int64_t begin, int64_t end) {
  __builtin_memset(a.sums + begin * a.d, 0, static_cast<size_t>((end - begin) * a.d) * sizeof(double));
  for (int64_t row = 0; row < a.n; ++row) {
    const int64_t label = a.labels[row];
    if (label < begin || label >= end) continue;
    double* __restrict sums = a.sums + label * a.d;
    const float* __restrict x = a.x + row * a.d;
    for (int64_t t = 0; t < a.d; ++t) sums[t] += x[t];
  }
}
