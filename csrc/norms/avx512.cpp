// Euclidean norms with AVX-512.
#include "core/target.hpp"
#include "norms/norms.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "norms/norms.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Norms> registered(Isa::avx512, avx512::norms_of_rows);
}  // namespace vecpress

#endif
