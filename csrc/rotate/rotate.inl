// Rotations of some rows, one after the other, each in its place in `out`: it stays in the L1 cache. Included inside a target region,
// after the region's vectors.

// y[t] = x[t] * factors[t]
inline void multiply(const float* x, const float* factors, int64_t n, float* y) {
  int64_t t = 0;
  for (; t + Floats::kLanes <= n; t += Floats::kLanes) (Floats::load(x + t) * Floats::load(factors + t)).store(y + t);
  for (; t < n; ++t) y[t] = x[t] * factors[t];
}

// (a, b) = ((a + b) * factor, (a - b) * factor)
inline void turn(float* a, float* b, int64_t n, float factor) {
  const Floats factors = Floats::set1(factor);
  int64_t t = 0;
  for (; t + Floats::kLanes <= n; t += Floats::kLanes) {
    const Floats x = Floats::load(a + t), y = Floats::load(b + t);
    ((x + y) * factors).store(a + t);
    ((x - y) * factors).store(b + t);
  }
  for (; t < n; ++t) {
    const float x = a[t], y = b[t];
    a[t] = (x + y) * factor;
    b[t] = (x - y) * factor;
  }
}

// The stages h and 2 * h of n coordinates, in one pass.
inline void two_stages(float* z, int64_t n, int64_t h) {
  for (int64_t first = 0; first < n; first += 4 * h)
    for (int64_t t = first; t < first + h; t += Floats::kLanes) {
      const Floats a = Floats::load(z + t), b = Floats::load(z + t + h);
      const Floats c = Floats::load(z + t + 2 * h), d = Floats::load(z + t + 3 * h);
      const Floats ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
      (ab + cd).store(z + t);
      (a_b + c_d).store(z + t + h);
      (ab - cd).store(z + t + 2 * h);
      (a_b - c_d).store(z + t + 3 * h);
    }
}

// The Hadamard transform of n coordinates, n a power of two, times `scale`: first the strides inside a vector, then two strides a
// pass; the scale goes with the last pass.
inline void transform(float* z, int64_t n, float scale) {
  const Floats scales = Floats::set1(scale);
  if (n < 2 * Floats::kLanes) {
    for (int64_t h = 1; h < n; h *= 2)
      for (int64_t first = 0; first < n; first += 2 * h)
        for (int64_t t = first; t < first + h; ++t) {
          const float a = z[t], b = z[t + h];
          z[t] = a + b;
          z[t + h] = a - b;
        }
    for (int64_t t = 0; t < n; ++t) z[t] *= scale;
    return;
  }
  for (int64_t t = 0; t < n; t += Floats::kLanes) Floats::load(z + t).hadamard().store(z + t);
  int64_t h = Floats::kLanes;
  for (; 4 * h < n; h *= 4) two_stages(z, n, h);
  if (2 * h == n) return turn(z, z + h, h, scale);
  for (int64_t t = 0; t < h; t += Floats::kLanes) {
    const Floats a = Floats::load(z + t), b = Floats::load(z + t + h);
    const Floats c = Floats::load(z + t + 2 * h), d = Floats::load(z + t + 3 * h);
    const Floats ab = a + b, a_b = a - b, cd = c + d, c_d = c - d;
    ((ab + cd) * scales).store(z + t);
    ((a_b + c_d) * scales).store(z + t + h);
    ((ab - cd) * scales).store(z + t + 2 * h);
    ((a_b - c_d) * scales).store(z + t + 3 * h);
  }
}

void rotate_rows(const RotateArgs& a, int64_t begin, int64_t end) {
  const int64_t d = a.d, half = d / 2;
  for (int64_t row = begin; row < end; ++row) {
    float* y = a.out + row * d;
    const float* x = a.x + row * d;
    if (a.inverse) __builtin_memcpy(y, x, static_cast<size_t>(d) * sizeof(float));
    for (int i = 0; i < Rotate::kRounds; ++i) {
      const int r = a.inverse ? Rotate::kRounds - 1 - i : i;
      float* part = r % 2 ? y + d - a.width : y;
      if (!a.inverse) {
        multiply(i ? y : x, a.signs + r * d, d, y);
        transform(part, a.width, a.scale);
      }
      if (a.width < d) turn(y, y + half, half, a.half);
      if (a.inverse) {
        transform(part, a.width, a.scale);
        multiply(y, a.signs + r * d, d, y);
      }
    }
  }
}
