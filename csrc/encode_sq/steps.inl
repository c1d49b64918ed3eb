// Steps of `encode_sq` in what every region's vectors have. Included inside a target region, after pack_codes/planes.inl.

struct Steps {
  // A quotient, but 0 where it is less or no number, `most` where it is more.
  static Floats clipped(Floats quotient, Floats most) { return within(quotient, Floats::zero(), most); }

  // How far from whole numbers clipped products are at most, as bits.
  struct Apart {
    Magnitudes most;
    Apart() : most(Magnitudes::zero()) {}  // written out: an implicit one is no part of the region
    void add(Floats x) {
      const Floats whole = Floats::set1(0x1p23f);  // adding it rounds to a whole number, ties to even
      most.add(x - ((x + whole) - whole));
    }
    bool beyond(int32_t limit) const { return most.beyond(limit); }
  };

  // Whether a row may have a magnitude beyond `largest`, or a NaN.
  struct Large {
    const int32_t largest;
    Magnitudes magnitudes;
    explicit Large(int32_t limit) : largest(limit), magnitudes(Magnitudes::zero()) {}
    void add(const float* x) { add_magnitudes(x, magnitudes); }
    bool beyond() const { return magnitudes.beyond(largest); }
  };

  // Codes of 64 clipped quotients.
  template <int kBits>
  static void store(const Floats (&labels)[64 / Floats::kLanes], uint8_t* out) {
    if (kBits == 8) return store_rounded(labels, out);
    uint8_t bytes[64];
    store_rounded(labels, bytes);
    pack_plane<uint16_t>(bytes, 64, 0, out);
  }
};
