// Scalar quantisation with AVX-512.
#include "core/target.hpp"
#include "encode_sq/encode_sq.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/runs.inl"

#include "pack_codes/planes.inl"

// As encode_sq/steps.inl has it, in fewer instructions.
struct Steps {
  // Where it is less than 0 or no number it stays so: both become 0 as numbers are narrowed, with saturation.
  static Floats clipped(Floats quotient, Floats most) { return {_mm512_min_ps(most.v, quotient.v)}; }  // no number: the second

  struct Apart {
    __m512 most;
    Apart() : most(_mm512_setzero_ps()) {}  // written out: an implicit one is no part of the region
    void add(Floats x) { most = _mm512_range_ps(most, _mm512_reduce_ps(x.v, 0), 0xB); }  // the larger magnitude, but for NaN
    bool beyond(int32_t limit) const { return _mm512_cmpgt_epi32_mask(_mm512_castps_si512(most), _mm512_set1_epi32(limit)) != 0; }
  };

  // By sums of squares, each at least its largest number's but for roundings of 2^-24: where they stay below that of `largest`, less
  // 2^-10 of it, no magnitude is beyond. A NaN is not below, and where squares are below float32's range, nothing is.
  struct Large {
    __m512 squares[4];
    float limit;
    explicit Large(int32_t largest) {
      for (int v = 0; v < 4; ++v) squares[v] = _mm512_setzero_ps();
      __builtin_memcpy(&limit, &largest, sizeof limit);
      limit = limit >= 0x1p-40f ? limit * limit * (1 - 0x1p-10f) : 0;
    }
    void add(const float* x) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        const __m512 y = _mm512_loadu_ps(x + 16 * v);
        squares[v] = _mm512_fmadd_ps(y, y, squares[v]);
      }
    }
    bool beyond() const {
      __mmask16 below = 0xFFFF;
      for (int v = 0; v < 4; ++v) below &= _mm512_cmp_ps_mask(squares[v], _mm512_set1_ps(limit), _CMP_LT_OQ);
      return below != 0xFFFF;
    }
  };

  template <int kBits>
  static void store(const Floats (&labels)[4], uint8_t* out) {
    __m512i numbers[4];
    for (int v = 0; v < 4; ++v) numbers[v] = _mm512_cvtps_epi32(labels[v].v);  // INT32_MIN where it is too small, or none
    const __m512i a = _mm512_packs_epi32(numbers[0], numbers[1]), b = _mm512_packs_epi32(numbers[2], numbers[3]);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);  // undoes packing in 128-bit parts
    const __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b));
    if (kBits == 8) return _mm512_storeu_si512(out, bytes);
    const __m512i pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi16(0x1001));  // the second of two, 16 times, and the first
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi16_epi8(pairs));
  }
};

#include "encode_sq/encode_sq.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<EncodeSq> registered(Isa::avx512, avx512::encode_sq_rows);
}  // namespace vecpress

#endif
