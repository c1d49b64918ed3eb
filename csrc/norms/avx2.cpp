// Euclidean norms with AVX2.
#include "core/target.hpp"
#include "norms/norms.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "norms/norms.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Norms> registered(Isa::avx2, avx2::norms_of_rows);
}  // namespace vecpress

#endif
