// Rows of numbers to rows of planes and back. Included inside a target region, after pack_codes/planes.inl.

void pack_code_rows(const PackCodesArgs& a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* labels = a.labels + row * a.d;
    uint8_t* out = a.out + row * a.size;
    int left = a.n_bits;
    for (int plane = 0; left; ++plane) {
      const int width = kPlanes[a.n_bits][plane];
      left -= width;
      if (width == 8) pack_plane<uint8_t>(labels, a.d, left, out);
      if (width == 4) pack_plane<uint16_t>(labels, a.d, left, out);
      if (width == 2) pack_plane<uint32_t>(labels, a.d, left, out);
      if (width == 1) pack_plane<uint64_t>(labels, a.d, left, out);
      out += plane_size(a.d, width);
    }
  }
}

void unpack_code_rows(const UnpackCodesArgs& a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* codes = a.codes + row * a.size;
    uint8_t* out = a.out + row * a.d;
    int left = a.n_bits;
    for (int plane = 0; left; ++plane) {
      const int width = kPlanes[a.n_bits][plane];
      left -= width;
      if (plane)
        unpack_plane_of<false>(width, codes, a.d, out);
      else
        unpack_plane_of<true>(width, codes, a.d, out);
      codes += plane_size(a.d, width);
    }
  }
}
