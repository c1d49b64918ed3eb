// Matrix product in a fixed order with AVX2.
#include "core/target.hpp"
#include "project/project.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "project/project.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<Project> registered(Isa::avx2, avx2::project_rows);
}  // namespace vecpress

#endif
