// Nearest centroids with AVX2.
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "assign/assign.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "assign/assign.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Assign> registered(Isa::avx2, avx2::assign_rows);
}  // namespace vecpress

#endif
