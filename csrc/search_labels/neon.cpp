// The search for labels with NEON: signed products in 16 bits, then 32.
#include "core/target.hpp"
#include "search_labels/search_labels.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

struct Shorts {  // of bytes in memory
  static constexpr int kLanes = 8;
  int16x8_t v;
  static Shorts zero() { return {vdupq_n_s16(0)}; }
  static Shorts load(const int8_t* p) { return {vmovl_s8(vld1_s8(p))}; }
  Shorts operator+(Shorts o) const { return {vaddq_s16(v, o.v)}; }
  Shorts operator-(Shorts o) const { return {vsubq_s16(v, o.v)}; }
};

inline Floats whole_numbers(const int32_t* p) { return {vcvtq_f32_s32(vld1q_s32(p))}; }
inline void whole_numbers(Shorts x, Floats (&out)[2]) {
  out[0].v = vcvtq_f32_s32(vmovl_s16(vget_low_s16(x.v)));
  out[1].v = vcvtq_f32_s32(vmovl_high_s16(x.v));
}

#include "beam_step/least.inl"

#include "search_labels/search_labels.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<SearchLabels> registered(Isa::neon, neon::search_labels_rows);
}  // namespace vecpress

#endif
