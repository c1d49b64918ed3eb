// Labels of rows on grids of their own for every column, as codes, 64 values at a time. Included inside a target region, after
// core/runs.inl, pack_codes/planes.inl and the region's Steps (encode_sq/steps.inl, or its own).
//
// A product with a step's inverse takes a fraction of a division's time and differs from the quotient by 2^-22 of it at most: three
// roundings of 2^-24. So both give the same label, unless the product is that near to halfway between two of them.

// The codes of 64 values, 8 * kBits bytes; returns whether they are sure, as those by division are. by: the steps, or their inverses;
// halfway: the bits of how far from a label a product may be.
template <int kBits, bool kDivide>
inline bool encode_values(const float* x, const float* low, const float* by, int32_t halfway, uint8_t* out) {
  Floats labels[64 / Floats::kLanes];
  Steps::Apart apart;
#pragma GCC unroll 16
  for (int v = 0; v < 64 / Floats::kLanes; ++v) {
    const int at = v * Floats::kLanes;
    const Floats difference = Floats::load(x + at) - Floats::load(low + at), other = Floats::load(by + at);
    labels[v] = Steps::clipped(kDivide ? difference / other : difference * other, Floats::set1((1 << kBits) - 1));
    if (!kDivide) apart.add(labels[v]);
  }
  Steps::store<kBits>(labels, out);
  return kDivide || !apart.beyond(halfway);
}

// Whether a row has a NaN or a magnitude beyond `largest`.
inline bool any_beyond(const float* x, int64_t d, int32_t largest) {
  bool beyond = false;
  for (int64_t t = 0; t < d; ++t) {
    int32_t bits;
    __builtin_memcpy(&bits, x + t, sizeof bits);
    beyond |= (bits & INT32_MAX) > largest;
  }
  return beyond;
}

template <int kBits>
inline int64_t encode_sq_rows_of(const EncodeSqArgs& a, int64_t begin, int64_t end) {
  const int64_t size = (a.d * kBits + 7) / 8, whole = a.d / 64 * 64, rest = a.d - whole;
  const float* inverse = a.inverse ? a.inverse : a.step;  // then not used
  float x_rest[64] = {}, low_rest[64] = {}, step_rest[64], inverse_rest[64];  // a row's last values, filled up with labels 0
  for (int64_t i = 0; i < 64; ++i) {
    if (i < rest) low_rest[i] = a.low[whole + i];
    step_rest[i] = i < rest ? a.step[whole + i] : 1;
    inverse_rest[i] = i < rest ? inverse[whole + i] : 1;
  }
  const float far = 0.5f - (1 << kBits) * 0x1p-22f;
  int32_t halfway;
  __builtin_memcpy(&halfway, &far, sizeof halfway);
  const auto encode = [&](const float* x, const float* low, const float* step, const float* inverses, uint8_t* out) {
    if (!a.inverse || !encode_values<kBits, false>(x, low, inverses, halfway, out)) encode_values<kBits, true>(x, low, step, halfway, out);
  };
  int64_t first = a.n;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = a.x + row * a.d;
    uint8_t* out = a.out + row * size;
    Steps::Large large(a.largest);
    for (int64_t t = 0; t < whole; t += 64) {
      fetch_ahead(x + t);
      large.add(x + t);
      encode(x + t, a.low + t, a.step + t, inverse + t, out + t * kBits / 8);
    }
    if (rest) {
      uint8_t codes[8 * kBits];
      for (int64_t i = 0; i < rest; ++i) x_rest[i] = x[whole + i];
      large.add(x_rest);
      encode(x_rest, low_rest, step_rest, inverse_rest, codes);
      __builtin_memcpy(out + whole * kBits / 8, codes, static_cast<size_t>(size - whole * kBits / 8));
    }
    if (row < first && large.beyond() && any_beyond(x, a.d, a.largest)) first = row;
  }
  return first;
}

int64_t encode_sq_rows(const EncodeSqArgs& a, int64_t begin, int64_t end) {
  return a.n_bits == 8 ? encode_sq_rows_of<8>(a, begin, end) : encode_sq_rows_of<4>(a, begin, end);
}
