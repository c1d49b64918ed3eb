// The search for labels for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "search_labels/search_labels.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

struct Shorts {  // of bytes in memory
  static constexpr int kLanes = 1;
  int16_t v;
  static Shorts zero() { return {0}; }
  static Shorts load(const int8_t* p) { return {*p}; }
  Shorts operator+(Shorts o) const { return {static_cast<int16_t>(v + o.v)}; }
  Shorts operator-(Shorts o) const { return {static_cast<int16_t>(v - o.v)}; }
};

inline Floats whole_numbers(const int32_t* p) { return {static_cast<float>(*p)}; }
inline void whole_numbers(Shorts x, Floats (&out)[1]) { out[0].v = static_cast<float>(x.v); }

#include "beam_step/least.inl"

#include "search_labels/search_labels.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<SearchLabels> registered(Isa::scalar, scalar::search_labels_rows);
}  // namespace vecpress
